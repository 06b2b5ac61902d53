(ns helping-hands.provider.main-test
  (:require [clojure.test :refer [deftest is]]
            [helping-hands.provider.main :as main]
            [helping-hands.provider.operations :as operations]
            [helping-hands.shared.contract :as contract]))

(deftest it-does-what-every-service-does
  (contract/check main/start operations/all))

(deftest what-is-missing-is-named
  (is (= "POSTGRES_PASSWORD is not set; POSTGRES_PORT is not a port number" (contract/faults ["auth"]))))
