(ns helping-hands.provider.main-test
  (:require [clojure.data.json :as json]
            [clojure.java.io :as io]
            [clojure.java.jdbc :as jdbc]
            [clojure.test :refer [deftest is]]
            [helping-hands.provider.main :as main]
            [helping-hands.provider.operations :as operations]
            [helping-hands.shared.contract :as contract]
            [helping-hands.shared.queue :as queue]
            [helping-hands.shared.schema :as schema]
            [helping-hands.shared.table :as table]))

(deftest it-does-what-every-service-does
  (contract/check main/start operations/all))

(deftest what-is-missing-is-named
  (is (= "POSTGRES_PASSWORD is not set; POSTGRES_PORT is not a port number" (contract/faults ["auth"]))))

(def ^:private id "00000000-0000-0000-0000-000000000007")

(defn- rate
  "The answer to a rating of 4 while `held` is the profile that is there, and what is published: [status messages]."
  [held]
  (let [published (atom [])]
    (with-redefs [jdbc/db-transaction* (fn [db act & _] (act db))
                  jdbc/execute!        (constantly [1])
                  table/hold           (constantly held)
                  table/one            (constantly {:rating 4.5M, :ratings 2})
                  queue/publish        (fn [_ & message] (swap! published conj message))]
      [(:status ((operations/all "rate") {} {:params {"id" id}, :body {"rating" 4}})) @published])))

(deftest a-rating-is-told-to-whom-it-concerns
  (let [[status [[topic group message]]] (rate {:id id, :name "Bo"})
        document                         (schema/inlined (json/read-str (slurp (io/resource "openapi.json"))))]
    (is (= [201 "ratings" id] [status topic group]))
    (is (= {:provider id, :rating 4.5M} message))
    (is (empty? (schema/faults (get-in document ["x-publishes" topic]) (json/read-str (json/write-str message)) "it")))))

(deftest who-is-gone-is-not-rated
  (is (= [404 []] (rate nil))))
