(ns helping-hands.service.main-test
  (:require [clojure.data.json :as json]
            [clojure.java.io :as io]
            [clojure.test :refer [deftest is]]
            [helping-hands.service.main :as main]
            [helping-hands.service.operations :as operations]
            [helping-hands.shared.contract :as contract]
            [helping-hands.shared.schema :as schema]))

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
