(ns helping-hands.consumer.main-test
  (:require [clojure.test :refer [deftest is]]
            [helping-hands.consumer.main :as main]
            [helping-hands.consumer.operations :as operations]
            [helping-hands.shared.contract :as contract]))

(deftest it-does-what-every-service-does
  (contract/check main/start operations/all))

(deftest fields-are-selected
  (let [selected @#'operations/selected
        profile  {:id "1", :name "Ann", :email "ann@example.org"}]
    (is (= profile (selected profile nil)))
    (is (= {:email "ann@example.org"} (selected profile "email")))
    (is (= {:name "Ann"} (selected profile "name,phone")) "a field that has no value is left out")))
