(ns helping-hands.shared.calls-test
  (:require [clojure.test :refer [deftest is]]
            [helping-hands.shared.calls :as calls]
            [helping-hands.shared.client :refer [logged]])
  (:import (clojure.lang ExceptionInfo)
           (java.net ServerSocket)))

(def ^:private system
  {:urls  {"provider" "http://provider:8080"}
   :calls [{"service" "provider", "method" "post", "path" "/else", "reads" ["name"]}
           {"service" "provider", "method" "get", "path" "/providers/{id}", "reads" ["id"], "may-read" ["rating"]}]})

(defn- lookup
  "What is looked up when provider answers so."
  [answer]
  (with-redefs [calls/call (fn [service url _] (assoc-in answer [:body "asked"] [service url]))]
    (calls/lookup system {} "provider" "7")))

(deftest what-the-document-says-is-read-and-nothing-else
  (is (= {"id" "7", "rating" 4.5} (lookup {:status 200, :body {"id" "7", "name" "Bo", "rating" 4.5}})))
  (is (= {"id" "7"} (lookup {:status 200, :body {"id" "7", "name" "Bo"}})))
  (is (nil? (lookup {:status 404, :body {}})))
  (is (thrown-with-msg? ExceptionInfo #"refused with 403" (lookup {:status 403, :body {}}))))

(deftest it-is-asked-where-the-document-says
  (let [asked (atom nil)]
    (with-redefs [calls/call (fn [_ url _] (reset! asked url) {:status 404})]
      (calls/lookup system {} "provider" "7")
      (is (= "http://provider:8080/providers/7" @asked)))))

(deftest an-answer-that-does-not-end-is-given-up
  (with-open [peer (ServerSocket. 0)]
    (let [begun (future
                  (dotimes [_ 2]
                    (doto (.getOutputStream (.accept peer))
                      (.write (.getBytes "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ntr"))
                      .flush)))
          asked (future
                  (with-redefs [calls/answer-seconds 1]
                    (try (calls/call "peer" (str "http://127.0.0.1:" (.getLocalPort peer)) {})
                         (catch ExceptionInfo error (ex-message error)))))]
      (is (re-find #"the answer did not end" (logged #(is (= "refused with 503" (deref asked 10000 :waits))))))
      @begun)))
