(ns helping-hands.order.main-test
  (:require [clojure.string :as str]
            [clojure.test :refer [deftest is]]
            [helping-hands.order.main :as main]
            [helping-hands.order.operations :as operations]
            [helping-hands.shared.contract :as contract]))

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
    (is (= "ann@example.org" (:to mail)))
    (is (= "Your booking is created" (:subject mail)))
    (is (every? #(str/includes? (:text mail) %) ["Ann" "gardening" "Berlin" "2030-05-01" "7"]))))

(deftest the-same-booking-is-recognised
  (let [same? @#'operations/same?]
    (is (same? {:day "2030-05-01", :consumer "c", :state "done"} {"day" "2030-05-01", "consumer" "c"}))
    (is (not (same? {:day "2030-05-02", :consumer "c"} {"day" "2030-05-01", "consumer" "c"})))))
