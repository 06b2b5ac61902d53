(ns helping-hands.auth.config-test
  (:require [clojure.string :as str]
            [clojure.test :refer [are deftest is]]
            [helping-hands.auth.config :as config]
            [helping-hands.auth.running :refer [new-key]]
            [helping-hands.shared.config :as shared]))

(def ^:private conf (shared/read-file "config/conf.edn"))

(defn- complaint [conf env]
  (try (config/settings conf env) nil
       (catch Exception e (ex-message e))))

(deftest the-shipped-configuration-is-sound
  (let [settings (config/settings conf {"AUTH_KEY" (new-key)})]
    (is (= 8080 (:port settings)))
    (is (= "info" (:log-level settings)))
    (is (= 16 (count (:key settings))))
    (is (= 9000 (:port (config/settings conf {"AUTH_KEY" (str (new-key) "=="), "PORT" "9000"}))))))

(deftest no-password-is-in-the-shipped-configuration
  (doseq [[uid {:keys [password]}] (:users conf)]
    (is (= #{:iterations :salt :hash} (set (keys password))) uid)
    (is (<= 210000 (:iterations password)) uid)))

(deftest a-fault-is-named
  (are [change env named] (str/includes? (str (complaint (change conf) (merge {"AUTH_KEY" (new-key)} env))) named)
    identity                                        {"AUTH_KEY" nil}        "AUTH_KEY must be 16 bytes"
    identity                                        {"AUTH_KEY" ""}         "AUTH_KEY must be 16 bytes"
    identity                                        {"AUTH_KEY" "c2hvcnQ"}  "AUTH_KEY must be 16 bytes"
    identity                                        {"AUTH_KEY" "not base"} "AUTH_KEY must be 16 bytes"
    identity                                        {"PORT" "http"}         "PORT is not a port number"
    identity                                        {"PORT" "70000"}        "PORT is not a port number"
    identity                                        {"LOG_LEVEL" "loud"}    "LOG_LEVEL must be one of"
    #(dissoc % :port)                               {}                      ":port is not a port number"
    #(dissoc % :token)                              {}                      ":token :lifetime-seconds"
    #(assoc-in % [:stop :drain-seconds] "1")        {}                      ":stop :drain-seconds"
    #(dissoc % :users)                              {}                      ":users names nobody"
    #(assoc-in % [:users "eve"] {})                 {}                      ":users \"eve\" must have"
    #(assoc-in % [:users "hhuser" :password] "pwd") {}                      ":users \"hhuser\" must have"
    #(assoc-in % [:users "hhuser" :permissions] []) {}                      ":users \"hhuser\" must have"))

(deftest all-faults-are-named-at-once-and-no-secret-is
  (let [said (complaint {} {"AUTH_KEY" "tell-nobody", "PORT" "x", "LOG_LEVEL" "x"})]
    (is (= 9 (count (str/split said #"; "))))
    (is (not (str/includes? said "tell-nobody")))))

(deftest a-file-that-cannot-be-read-is-named
  (are [path named] (thrown-with-msg? Exception named (shared/read-file path))
    nil            #"-Dconf=FILE.*no file was named"
    "no/such/file" #"-Dconf=FILE.*no/such/file"
    "Dockerfile"   #"-Dconf=FILE"))
