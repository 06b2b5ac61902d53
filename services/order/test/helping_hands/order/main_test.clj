(ns helping-hands.order.main-test
  (:require [clojure.data.json :as json]
            [clojure.java.io :as io]
            [clojure.java.jdbc :as jdbc]
            [clojure.string :as str]
            [clojure.test :refer [deftest is]]
            [helping-hands.order.main :as main]
            [helping-hands.order.operations :as operations]
            [helping-hands.shared.calls :as calls]
            [helping-hands.shared.client :refer [bearer exchange logged request]]
            [helping-hands.shared.contract :as contract]
            [helping-hands.shared.queue :as queue]
            [helping-hands.shared.schema :as schema]
            [helping-hands.shared.system :as system]
            [helping-hands.shared.table :as table])
  (:import (java.net ServerSocket)))

(deftest it-does-what-every-service-does
  (contract/check main/start operations/all))

(deftest an-order-goes-only-where-it-may
  (is (= #{"confirmed" "cancelled"} (operations/transitions "created")))
  (is (= #{"done" "cancelled"} (operations/transitions "confirmed")))
  (is (empty? (operations/transitions "done")))
  (is (empty? (operations/transitions "cancelled"))))

(deftest parties-must-be-there-and-belong-together
  (let [fault @#'operations/fault]
    (is (nil? (fault {"consumer" {}, "provider" {"id" "p"}, "service" {"provider" "p"}})))
    (is (= "the service is another provider's" (fault {"consumer" {}, "provider" {"id" "p"}, "service" {"provider" "q"}})))
    (is (= "there is no consumer, no service of this id"
           (fault {"consumer" nil, "provider" {"id" "p"}, "service" nil})))))

(deftest an-email-says-what-was-booked
  (let [mail (@#'operations/mail {:id "7", :day "2030-05-01", :state "created"}
              {"name" "Ann", "email" "ann@example.org"} {"type" "gardening", "area" "Berlin"})]
    (is (empty? (schema/faults (get-in (schema/inlined (json/read-str (slurp (io/resource "openapi.json"))))
                                       ["x-publishes" "alert"])
                               (json/read-str (json/write-str mail)) "it")))
    (is (= "ann@example.org" (:to mail)))
    (is (= "Your booking is created" (:subject mail)))
    (is (every? #(str/includes? (:text mail) %) ["Ann" "gardening" "Berlin" "2030-05-01" "7"]))))

(deftest the-same-booking-is-recognised
  (let [same? @#'operations/same?]
    (is (same? {:day "2030-05-01", :consumer "c", :state "done"} {"day" "2030-05-01", "consumer" "c"}))
    (is (not (same? {:day "2030-05-02", :consumer "c"} {"day" "2030-05-01", "consumer" "c"})))))

(deftest an-order-that-was-forgotten-meanwhile-is-not-there
  (with-redefs [table/fetch          (constantly {:id "o", :state "created"})
                calls/lookup         (constantly {})
                jdbc/db-transaction* (fn [db act & _] (act db))
                table/hold           (constantly nil)]
    (is (= 404 (:status ((operations/all "advance") {} {:params {"id" "o"}, :body {"state" "confirmed"}}))))))

(deftest what-is-said-again-is-no-conflict-and-no-second-email
  (with-redefs [table/fetch          (constantly {:id "o", :state "cancelled"})
                calls/lookup         (constantly {})
                jdbc/db-transaction* (fn [db act & _] (act db))
                table/hold           (constantly {:id "o", :state "cancelled"})
                queue/publish        (fn [& _] (is false "it was told before"))]
    (let [advance #(:status ((operations/all "advance") {} {:params {"id" "o"}, :body {"state" %}}))]
      (is (= 200 (advance "cancelled")))
      (is (= 409 (advance "done"))))))

(deftest a-booking-is-made-anew-when-the-one-of-its-key-was-forgotten-meanwhile
  (let [stored (atom [nil {:id "2"}])]
    (with-redefs [operations/booked-before (constantly nil)
                  operations/store         (fn [& _] (ffirst (swap-vals! stored rest)))
                  calls/lookup             (constantly {})]
      (is (= [201 "/orders/2"] ((juxt :status (comp #(get % "Location") :headers))
                                ((operations/all "book") {} {:params {"Idempotency-Key" "k"}, :body {}})))))))

(deftest a-booking-is-found-when-another-with-its-key-was-first
  (let [found (atom [nil {:id "1", :day "2030-05-01"}])]
    (with-redefs [operations/booked-before (fn [& _] (ffirst (swap-vals! found rest)))
                  operations/store         (constantly nil)
                  calls/lookup             (constantly {})]
      (is (= 200 (:status ((operations/all "book") {} {:params {"Idempotency-Key" "k"}, :body {"day" "2030-05-01"}})))))))

(deftest it-tells-its-health-while-auth-hangs
  (with-open [auth (ServerSocket. 0 100)]                   ; it takes connections and never answers
    (let [service (main/start (assoc-in (contract/settings []) [:urls "auth"] (str "http://127.0.0.1:" (.getLocalPort auth))))
          orders  (request "GET /orders" (bearer "a"))
          turned  (promise)]
      (try
        (logged
         (fn []
           (let [asked (doall (repeatedly 60 #(future (let [{:keys [status body]} (exchange service orders)]
                                                        (when (str/includes? (body "error") "at once") (deliver turned true))
                                                        status))))]
             (is (true? (deref turned 5000 nil)) "who comes when every place is taken is turned away")
             (is (= 200 (:status (exchange service (request "GET /health/live")))))
             (.close auth)
             (is (= #{503} (set (map deref asked)))))))
        (finally (system/stop service))))))

(deftest whose-orders-must-be-said
  (let [documented (get-in (json/read-str (slurp (io/resource "openapi.json"))) ["paths" "/orders" "get" "parameters" 0 "schema"])]
    (is (= ["give one of consumer, provider"] (schema/faults documented {} "")))
    (is (empty? (schema/faults documented {"provider" "00000000-0000-0000-0000-000000000000"} "")))))
