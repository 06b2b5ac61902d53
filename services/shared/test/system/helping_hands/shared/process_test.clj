(ns helping-hands.shared.process-test
  (:require [clojure.test :refer [deftest is]]
            [helping-hands.shared.process :as process])
  (:import (java.security Security)))

(deftest addresses-are-not-kept-from-the-first-on
  (let [kept (promise)]
    (process/run (fn [_ _]
                   (deliver kept (map #(Security/getProperty %) ["networkaddress.cache.ttl" "networkaddress.cache.negative.ttl"]))
                   {:log-level "info"})
                 (constantly {:port 0})
                 (fn [_]))
    (is (= ["1" "0"] (deref kept 0 nil)))))
