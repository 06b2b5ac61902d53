(ns helping-hands.shared.system-test
  (:require [clojure.test :refer [deftest is]]
            [helping-hands.shared.client :refer [logged open receive send!]]
            [helping-hands.shared.db :as db]
            [helping-hands.shared.http :as http]
            [helping-hands.shared.server :as server]
            [helping-hands.shared.system :as system]))

(deftest what-runs-in-the-background-ends-while-requests-do
  (let [ended (promise)]
    (with-redefs [server/stop (fn [_] (is (= :ended (deref ended 10000 :waits))))
                  db/close    (fn [_])]
      (system/stop {:system {}, :end #(deliver ended :ended)}))))

(deftest a-body-that-trickles-in-takes-nobodys-place
  (let [service (server/start {:port 0, :stop {:drain-seconds 0, :finish-seconds 1}}
                              #(http/handler {"/" {:post (fn [_] (http/answer 200 {}))}}
                                             {:stopping? %, :ready? (constantly true), :body-limit 1000}))]
    (try
      (logged
       (fn []
         (with-open [socket (open service)]
           (send! socket "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 900\r\n\r\n")
           (with-redefs [http/body-seconds 1]
             (dotimes [_ 4]
               (send! socket "a")
               (Thread/sleep 400))
             (is (= 400 (:status (deref (future (receive socket)) 5000 {:status :waits}))))))))
      (finally (logged #(server/stop service))))))
