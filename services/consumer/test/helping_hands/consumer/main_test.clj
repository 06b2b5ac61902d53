(ns helping-hands.consumer.main-test
  (:require [clojure.data.json :as json]
            [clojure.java.io :as io]
            [clojure.test :refer [are deftest is]]
            [helping-hands.consumer.main :as main]
            [helping-hands.consumer.operations :as operations]
            [helping-hands.shared.contract :as contract]
            [helping-hands.shared.schema :as schema]))

(deftest it-does-what-every-service-does
  (contract/check main/start operations/all))

(deftest fields-are-selected
  (let [selected @#'operations/selected
        profile  {:id "1", :name "Ann", :email "ann@example.org"}]
    (is (= profile (selected profile nil)))
    (is (= {:email "ann@example.org"} (selected profile "email")))
    (is (= {:name "Ann"} (selected profile "name,phone")) "a field that has no value is left out")))

(deftest an-address-is-one-that-an-email-can-be-sent-to
  (let [email (get-in (json/read-str (slurp (io/resource "openapi.json")))
                      ["components" "schemas" "NewConsumer" "properties" "email"])]
    (are [right? address] (= right? (empty? (schema/faults email address "email")))
      true  "ada@example.org"
      true  "ada.king+it%1@a.b.c.d.e.example.org"
      true  "ada@check.invalid"
      false "a..b@example.org"
      false ".a@example.org"
      false "a.@example.org"
      false "a@example..org"
      false "a@.example.org"
      false "a@example.org."
      false "a@example"
      false "a b@example.org"
      false "a@b@example.org"
      false "@example.org"
      false "a@example.org\n")))
