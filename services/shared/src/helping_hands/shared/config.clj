(ns helping-hands.shared.config
  "What every service runs with: conf.edn and the environment, checked whole before anything starts."
  (:require [clojure.edn :as edn]
            [clojure.string :as str]
            [helping-hands.shared.log :as log])
  (:import (java.io FileNotFoundException)))

(defn port?
  "A number that a port may have; 0 is any that is free."
  [x]
  (and (int? x) (<= 0 x 65535)))

(defn seconds? [x] (and (int? x) (<= 0 x 86400)))

(defn duration-faults
  "What is wrong with the durations at `paths` of conf.edn's content."
  [conf paths]
  (for [path paths
        :when (not (seconds? (get-in conf path)))]
    (str (str/join " " path) " must be a number of seconds, at most a day")))

(defn faults
  "What is wrong with the part that is the same for all services."
  [conf {:strs [LOG_LEVEL PORT] :or {LOG_LEVEL "info"}}]
  (concat
   (when-not (some #{LOG_LEVEL} log/levels)
     [(str "LOG_LEVEL must be one of " (str/join ", " log/levels))])
   (when (and PORT (not (port? (parse-long PORT))))
     ["PORT is not a port number"])
   (when-not (port? (:port conf)) [":port is not a port number"])
   (duration-faults conf [[:stop :drain-seconds] [:stop :finish-seconds]])))

(defn settings
  "The part that is the same for all services, {:port, :log-level, :stop {…}}, from conf.edn's content and a map of
  environment variables. Throws ex-info that names every one of `faults`."
  [conf env faults]
  (when (seq faults)
    (throw (ex-info (str/join "; " faults) {})))
  {:port      (if-let [port (env "PORT")] (parse-long port) (:port conf))
   :log-level (env "LOG_LEVEL" "info")
   :stop      (:stop conf)})

(defn read-file
  "The content of the configuration file at `path`. Throws ex-info where there is none."
  [path]
  (try
    (let [conf (edn/read-string (slurp (or path (throw (FileNotFoundException. "no file was named")))))]
      (if (map? conf) conf (throw (ex-info "it holds no map" {}))))
    (catch Exception e
      (throw (ex-info (str "the configuration file, named by -Dconf=FILE, cannot be read: " (ex-message e)) {})))))
