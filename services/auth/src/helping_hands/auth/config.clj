(ns helping-hands.auth.config
  "What auth runs with beside what every service does: its key, its users, how long a token lives."
  (:require [helping-hands.shared.config :as config])
  (:import (java.util Base64 Base64$Decoder)))

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

(defn- faults [{:keys [users] :as conf} {:strs [AUTH_KEY]}]
  (concat
   (when-not (secret-key AUTH_KEY)
     ["AUTH_KEY must be 16 bytes in base64url: 22 characters, or 24 with the padding"])
   (config/duration-faults conf [[:token :lifetime-seconds] [:token :skew-seconds]])
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
  (merge (config/settings conf env (concat (config/faults conf env) (faults conf env)))
         {:key   (secret-key (env "AUTH_KEY"))
          :token (:token conf)
          :users (update-vals (:users conf) user)}))
