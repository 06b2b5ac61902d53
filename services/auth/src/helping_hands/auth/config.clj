(ns helping-hands.auth.config
  "What the service runs with: conf.edn and the environment, checked whole before anything starts."
  (:require [clojure.edn :as edn]
            [clojure.string :as str]
            [helping-hands.auth.log :as log])
  (:import (java.io FileNotFoundException)
           (java.util Base64 Base64$Decoder)))

(defn- decoded
  "The bytes that `text` is the base64 of, or nil."
  [^Base64$Decoder decoder text]
  (when (string? text)
    (try (.decode decoder ^String text)
         (catch IllegalArgumentException _ nil))))

(defn- secret-key
  "The 16 bytes that A128KW wants, or nil."
  [text]
  (let [key (decoded (Base64/getUrlDecoder) text)]
    (when (= 16 (count key)) key)))

(defn- user
  "A user with its password's salt and hash as bytes, or nil."
  [{:keys [permissions password] :as stated}]
  (let [salt (decoded (Base64/getDecoder) (:salt password))
        hash (decoded (Base64/getDecoder) (:hash password))]
    (when (and (set? permissions) (every? string? permissions)
               (pos-int? (:iterations password)) (<= 16 (count salt)) (= 32 (count hash)))
      (update stated :password assoc :salt salt :hash hash))))

(defn- port? [x] (and (int? x) (<= 0 x 65535)))

(defn- seconds? [x] (and (int? x) (<= 0 x 86400)))

(defn- environment-faults [{:strs [AUTH_KEY LOG_LEVEL PORT] :or {LOG_LEVEL "info"}}]
  (concat
   (when-not (secret-key AUTH_KEY)
     ["AUTH_KEY must be 16 bytes in base64url: 22 characters, or 24 with the padding"])
   (when-not (some #{LOG_LEVEL} log/levels)
     [(str "LOG_LEVEL must be one of " (str/join ", " log/levels))])
   (when (and PORT (not (port? (parse-long PORT))))
     ["PORT is not a port number"])))

(defn- file-faults [{:keys [port users] :as conf}]
  (concat
   (when-not (port? port) [":port is not a port number"])
   (for [path [[:token :lifetime-seconds] [:token :skew-seconds] [:stop :drain-seconds] [:stop :finish-seconds]]
         :when (not (seconds? (get-in conf path)))]
     (str (str/join " " path) " must be a number of seconds, at most a day"))
   (when-not (and (map? users) (seq users)) [":users names nobody"])
   (for [[uid stated] (when (map? users) users)
         :when (not (and (string? uid) (user stated)))]
     (str ":users " (pr-str uid) " must have :permissions, a set of strings, and as :password what "
          "`lein hash-password` prints"))))

(defn settings
  "What runs the service, from conf.edn's content and a map of environment variables:
  {:port, :log-level, :key bytes, :token {…}, :stop {…}, :users {…}}. Throws ex-info that names every fault, and never
  a secret's value."
  [conf env]
  (let [faults (concat (environment-faults env) (file-faults conf))]
    (when (seq faults)
      (throw (ex-info (str/join "; " faults) {})))
    {:port      (if-let [port (env "PORT")] (parse-long port) (:port conf))
     :log-level (env "LOG_LEVEL" "info")
     :key       (secret-key (env "AUTH_KEY"))
     :token     (:token conf)
     :stop      (:stop conf)
     :users     (update-vals (:users conf) user)}))

(defn read-file
  "The content of the configuration file at `path`. Throws ex-info where there is none."
  [path]
  (try
    (let [conf (edn/read-string (slurp (or path (throw (FileNotFoundException. "no file was named")))))]
      (if (map? conf) conf (throw (ex-info "it holds no map" {}))))
    (catch Exception e
      (throw (ex-info (str "the configuration file, named by -Dconf=FILE, cannot be read: " (ex-message e)) {})))))
