(ns helping-hands.auth.users-test
  (:require [clojure.test :refer [are deftest is]]
            [helping-hands.auth.config :as config]
            [helping-hands.auth.running :refer [new-key settings]]
            [helping-hands.auth.users :as users]
            [helping-hands.shared.config :as shared])
  (:import (java.lang.management ManagementFactory)))

(def ^:private known (:users (settings (new-key))))

(deftest a-user-has-one-password
  (are [uid pwd user] (= user (users/authenticate known uid pwd))
    "hhuser"  "hhuser"     "hhuser"
    "hhuser"  "HHUSER"     nil
    "hhuser"  ""           nil
    "hhuser"  "hhadmin"    nil
    "hhadmin" "hhadmin"    "hhadmin"
    "nobody"  "hhuser"     nil
    ""        "hhuser"     nil))

(deftest an-unknown-user-takes-as-long-as-a-known-one
  (let [threads (ManagementFactory/getThreadMXBean)
        nanos   (fn [uid] (let [start (.getCurrentThreadCpuTime threads)] ; the others' share of a processor is not ours
                            (users/authenticate known uid "wrong")
                            (- (.getCurrentThreadCpuTime threads) start)))
        timed   (repeatedly 5 #(mapv nanos ["nobody" "hhuser"])) ; in turn: the compiler makes both faster as they run
        [unknown known] (apply map min timed)]
    (is (< 0.5 (/ (double unknown) known) 2.0))))

(deftest whoever-hashes-less-takes-as-long-as-whoever-hashes-most
  (let [users (assoc-in known ["hhadmin" :password :iterations] 300)
        users (assoc-in users ["hhuser" :password :iterations] 100)
        spent (fn [uid] (let [rounds (atom 0)]
                          (with-redefs-fn {#'users/pbkdf2 (fn [_ _ iterations] (swap! rounds + iterations) (byte-array 32))}
                            #(users/authenticate users uid "wrong"))
                          @rounds))]
    (is (= (spent "nobody") (spent "hhuser") (spent "hhadmin")))))

(deftest a-user-holds-what-the-configuration-says
  (are [uid permissions held?] (= held? (users/holds-all? known uid permissions))
    "hhuser"  ["order.read"]                     true
    "hhuser"  ["order.read" "consumer.write"]    true
    "hhuser"  ["order.read" "user.admin"]        false
    "hhuser"  ["ORDER.READ"]                     false
    "hhadmin" ["order.read" "user.admin"]        true
    "nobody"  ["order.read"]                     false))

(deftest a-printed-hash-is-one-that-the-configuration-takes
  (let [password (read-string (with-out-str (with-in-str "s3cret é\n" (users/print-hash))))
        conf     (assoc (shared/read-file "config/conf.edn") :users {"eve" {:permissions #{}, :password password}})
        known    (:users (config/settings conf {"AUTH_KEY" (new-key)}))]
    (is (= "eve" (users/authenticate known "eve" "s3cret é")))
    (is (nil? (users/authenticate known "eve" "s3cret e")))))
