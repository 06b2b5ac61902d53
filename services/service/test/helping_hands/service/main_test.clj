(ns helping-hands.service.main-test
  (:require [clojure.data.json :as json]
            [clojure.java.io :as io]
            [clojure.java.jdbc :as jdbc]
            [clojure.test :refer [deftest is]]
            [helping-hands.service.main :as main]
            [helping-hands.service.operations :as operations]
            [helping-hands.service.ratings :as ratings]
            [helping-hands.shared.calls :as calls]
            [helping-hands.shared.contract :as contract]
            [helping-hands.shared.schema :as schema]
            [helping-hands.shared.table :as table]))

(deftest it-does-what-every-service-does
  (contract/check main/start operations/all))

(deftest an-offer-is-checked-before-anything-is-asked
  (let [offer    (schema/inlined (json/read-str (slurp (io/resource "openapi.json"))))
        faults   #(schema/faults (get-in offer ["components" "schemas" "NewService"]) % "")
        provider "00000000-0000-0000-0000-000000000000"]
    (is (empty? (faults {"provider" provider, "type" "gardening", "area" "Berlin", "cost" 20.5})))
    (is (= ["cost must be at least 0"] (faults {"provider" provider, "type" "g", "area" "B", "cost" -1})))
    (is (= ["type must be given"] (faults {"provider" provider, "area" "B", "cost" 1})))
    (is (= ["\"rating\" is not known here"] (faults {"provider" provider, "type" "g", "area" "B", "cost" 1, "rating" 5})))))

(deftest an-offer-begins-with-what-its-provider-is-rated
  (doseq [[provider status rating] [[{"rating" 4.5} 201 4.5] [{} 201 nil] [nil 409 nil]]]
    (with-redefs [calls/lookup (constantly provider)
                  table/insert (fn [_ _ values] (is (= rating (values "rating"))) values)]
      (is (= status (:status ((operations/all "create") {} {:body {"provider" "p"}})))))))

(deftest what-is-heard-of-a-provider-is-kept-once
  (let [asked (atom nil)]
    (with-redefs [jdbc/execute! (fn [_ statement] (reset! asked statement))]
      ((ratings/hear {"provider" "p", "rating" 4.5}) {} "id")
      (is (re-find #"ON CONFLICT \(provider\) DO UPDATE" (first @asked)))
      (is (= ["p" 4.5] (rest @asked))))))

(deftest offers-are-shown-with-what-was-heard
  (let [asked (atom #{})]
    (with-redefs [table/search (fn [_ table & _] (swap! asked conj (:name table)) [])
                  table/fetch  (fn [_ table _] (swap! asked conj (:name table)) {})
                  table/change (constantly nil)]
      (doseq [operation ["search" "read" "update"]]
        (is (= 200 (:status ((operations/all operation) {} {:params {"min_rating" 4}, :body {"cost" 1}})))))
      (is (= #{"service.rated_offers"} @asked)))))
