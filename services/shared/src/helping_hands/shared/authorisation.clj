(ns helping-hands.shared.authorisation
  "Who may do what: auth is asked each time, so that a change of permissions counts at once."
  (:require [clojure.string :as str]
            [helping-hands.shared.calls :as calls]
            [helping-hands.shared.http :as http :refer [refuse]]
            [ring.util.codec :refer [url-encode]]))

(defn token
  "The token that a request carries, or nil."
  [{:keys [headers]}]
  (second (re-matches #"(?i)bearer +([\x21-\x7e]+)" (headers "authorization" ""))))

(defn refusal
  "The response to who may not do what wants `permissions`, or nil for who may. Gives up with 503 when auth does not
  answer."
  [{:keys [urls]} {:keys [token] :as caller} permissions]
  (let [form                  (str "perms=" (url-encode (str/join "," permissions)))
        {:keys [status body]} (if token
                                (calls/call "auth" (str (urls "auth") "/tokens/validate") (assoc caller :form form))
                                {:status 401})]
    (case (int status)
      200 (when-not (true? body)
            (refuse 403 (str "this wants the permission " (str/join ", " permissions))))
      401 (refuse 401 "no valid token: send one as `Authorization: Bearer TOKEN`" {"WWW-Authenticate" "Bearer"})
      (http/give-up (http/unavailable "auth")))))
