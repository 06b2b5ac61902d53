(ns helping-hands.shared.queue-test
  (:require [clojure.java.jdbc :as jdbc]
            [clojure.test :refer [are deftest is]]
            [helping-hands.shared.client :refer [logged]]
            [helping-hands.shared.queue :as queue]
            [helping-hands.shared.table :as table]))

(defn- work
  "Works on a message that is tried the second time; `changed` is how many rows a statement finds of it. Its statements."
  [changed handle]
  (let [asked (atom [])]
    (with-redefs [table/one             (constantly {:id "7", :body "{\"to\": \"ann\"}", :attempts 2})
                  jdbc/db-transaction*  (fn [db act & _] (act db))
                  jdbc/execute!         (fn [_ statement] (swap! asked conj statement) [changed])]
      (logged #(queue/work-one {} "alert" handle))
      @asked)))

(deftest a-message-is-settled-by-the-worker-that-has-it
  (are [changed settled] (let [times (atom 0)]
                           (= ["7" 2] (rest (first (work changed (fn [message]
                                                                   (is (= {"to" "ann"} message))
                                                                   (fn [_ id] (is (= "7" id)) (swap! times inc)))))))
                           (= settled @times))
    1 1
    0 0))                                                   ; its lease ended, and another has it

(deftest a-message-is-put-back-by-the-worker-that-has-it
  (let [[[statement why _ final id attempts]] (work 1 (fn [_] (throw (ex-info "away" {}))))]
    (is (re-find #"WHERE id = \? AND attempts = \?$" statement))
    (is (= ["away" false "7" 2] [why final id attempts]))))

(deftest a-message-whose-workers-never-end-is-kept-apart-in-the-end
  (with-redefs [queue/attempts 1]
    (let [[[_ why _ final]] (work 1 (fn [_] (is false "it is not handled once more")))]
      (is (= ["whoever took it never came to an end" true] [why final])))))

(deftest a-message-that-does-not-fit-is-not-tried-again
  (let [handle (queue/checked {"type" "object", "required" ["to"], "properties" {"to" {"type" "string"}}} (constantly :done))
        put-by #(let [[[_ why _ final]] (work 1 (fn [_] (handle %)))] [why final])]
    (is (= :done (handle {"to" "ann", "more" 1})))
    (are [message why] (= [why true] (put-by message))
      {}       "the message.to must be given"
      {"to" 1} "the message.to must be a string"
      []       "the message must be an object"
      nil      "the message must be an object")))
