(ns helping-hands.auth.running
  "A service that runs for a test."
  (:require [helping-hands.auth.config :as config]
            [helping-hands.auth.main :as main]
            [helping-hands.shared.client :refer [bearer exchange request]]
            [helping-hands.shared.config :as shared]
            [helping-hands.shared.server :as server])
  (:import (java.security SecureRandom)
           (java.util Base64)))

(defn new-key
  "What AUTH_KEY may hold."
  []
  (let [key (byte-array 16)]
    (.nextBytes (SecureRandom.) key)
    (.encodeToString (.withoutPadding (Base64/getUrlEncoder)) key)))

(defn settings
  "Those of conf.edn, with this key, on a free port."
  [key]
  (config/settings (assoc-in (shared/read-file "config/conf.edn") [:stop :drain-seconds] 0)
                   {"AUTH_KEY" key, "PORT" "0"}))

(defn with-service
  "Calls `use` with a service that runs meanwhile."
  [settings use]
  (let [service (main/start settings)]
    (try (use service) (finally (server/stop service)))))

(defn login
  "A token for this user, whose password is its name."
  [service uid]
  (let [answer (exchange service (request (str "GET /tokens?uid=" uid "&pwd=" uid)))]
    (second (re-matches #"Bearer (.+)" (get-in answer [:headers "authorization"] "")))))

(defn validate [service token perms]
  (exchange service (request "POST /tokens/validate" (bearer token) (str "perms=" perms))))
