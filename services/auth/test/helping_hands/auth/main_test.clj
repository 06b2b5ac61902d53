(ns helping-hands.auth.main-test
  "The service as a process: what whoever starts and stops it sees."
  (:require [clojure.data.json :as json]
            [clojure.java.io :as io]
            [clojure.test :refer [are deftest is]]
            [helping-hands.auth.running :refer [new-key]])
  (:import (java.net ServerSocket)
           (java.util.concurrent TimeUnit)))

(defn- launch
  "The service in a JVM of its own, with this configuration file and this environment."
  ^Process [conf env]
  (let [builder (ProcessBuilder. ["java" "-cp" (System/getProperty "java.class.path") (str "-Dconf=" conf)
                                  "clojure.main" "-m" "helping-hands.auth.main"])]
    (doto (.environment builder)
      (.remove "AUTH_KEY")
      (.putAll env))
    (.start (.redirectErrorStream builder true))))

(defn- lines [^Process process]
  (map #(json/read-str % :key-fn keyword) (line-seq (io/reader (.getInputStream process)))))

(defn- exit-code
  "Within ten seconds, or nil."
  [^Process process]
  (if (.waitFor process 10 TimeUnit/SECONDS)
    (.exitValue process)
    (.destroyForcibly process)))

(deftest what-cannot-start-says-why-in-one-line
  (with-open [taken (ServerSocket. 0)]
    (are [conf env why] (let [process (launch conf env)
                              said    (doall (lines process))]
                          (and (= 1 (exit-code process) (count said))
                               (= "error" (:level (first said)))
                               (re-find why (:msg (first said)))))
      "config/conf.edn" {}                                                          #"cannot start: AUTH_KEY must be"
      "config/conf.edn" {"AUTH_KEY" "c2hvcnQ"}                                      #"cannot start: AUTH_KEY must be"
      "none.edn"        {"AUTH_KEY" (new-key)}                                      #"cannot start: .*-Dconf=FILE"
      "config/conf.edn" {"AUTH_KEY" (new-key), "PORT" (str (.getLocalPort taken))}  #"cannot start: .*bind")))

(deftest sigterm-ends-it-soon
  (let [process (launch "config/conf.edn" {"AUTH_KEY" (new-key), "PORT" "0"})
        said    (lines process)]
    (is (= "listening" (:msg (first said))))
    (let [asked (System/nanoTime)]
      (.destroy (.toHandle process))                         ; SIGTERM
      (is (= 143 (exit-code process)))
      (is (< (- (System/nanoTime) asked) 3e9)))
    (is (= ["listening" "stopping" "stopped"] (map :msg said)))))
