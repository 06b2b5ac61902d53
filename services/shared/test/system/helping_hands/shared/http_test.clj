(ns helping-hands.shared.http-test
  (:require [clojure.test :refer [deftest is]]
            [helping-hands.shared.client :refer [logged]]
            [helping-hands.shared.http :as http])
  (:import (java.io ByteArrayInputStream)
           (java.util.concurrent CountDownLatch TimeUnit)))

(defn- asking
  "Asks a handler of these routes with GET; `stopping?` is what it is told."
  [routes stopping?]
  (let [handler (http/handler routes {:stopping? (constantly stopping?), :ready? (constantly true), :body-limit 10})]
    (fn [uri]
      (handler {:uri uri, :request-method :get, :headers {}, :body (ByteArrayInputStream. (byte-array 0))}))))

(deftest while-it-stops-every-answer-asks-for-another-connection
  (let [ask    (asking {"/well"   {:get (fn [_] (http/answer 200 {}))}
                        "/ill"    {:get (fn [_] (throw (IllegalStateException. "ill")))}
                        "/enough" {:get (fn [_] (http/give-up (http/unavailable "auth")))}}
                       true)
        answer (atom nil)]
    (doseq [[path status] {"/well" 200, "/ill" 500, "/enough" 503, "/none" 404, "/health/ready" 503}]
      (logged #(reset! answer (ask path)))
      (is (= status (:status @answer)) path)
      (is (= "close" (get-in @answer [:headers "Connection"])) path))))

(deftest health-is-told-while-every-place-is-taken
  (let [entered (CountDownLatch. 40)
        go      (promise)
        ask     (asking {"/slow" {:get (fn [_] (.countDown entered) @go (http/answer 200 {}))}} false)]
    (logged (fn []
              (let [held (doall (repeatedly 40 #(future (:status (ask "/slow")))))]
                (is (.await entered 10 TimeUnit/SECONDS))
                (is (= 503 (:status (ask "/slow"))))
                (is (= [200 200] (map (comp :status ask) ["/health/live" "/health/ready"])))
                (deliver go true)
                (is (= #{200} (set (map deref held))))
                (is (= 200 (:status (ask "/slow")))))))))
