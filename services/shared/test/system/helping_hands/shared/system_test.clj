(ns helping-hands.shared.system-test
  (:require [clojure.test :refer [deftest is]]
            [helping-hands.shared.db :as db]
            [helping-hands.shared.server :as server]
            [helping-hands.shared.system :as system]))

(deftest what-runs-in-the-background-ends-while-requests-do
  (let [ended (promise)]
    (with-redefs [server/stop (fn [_] (is (= :ended (deref ended 10000 :waits))))
                  db/close    (fn [_])]
      (system/stop {:system {}, :end #(deliver ended :ended)}))))
