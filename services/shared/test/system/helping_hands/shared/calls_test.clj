(ns helping-hands.shared.calls-test
  (:require [clojure.test :refer [deftest is]]
            [helping-hands.shared.calls :as calls])
  (:import (clojure.lang ExceptionInfo)))

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
