(ns helping-hands.auth.routes
  "What the service answers, path by path."
  (:require [clojure.java.io :as io]
            [clojure.string :as str]
            [helping-hands.auth.tokens :as tokens]
            [helping-hands.auth.users :as users]
            [helping-hands.shared.http :as http :refer [answer refuse]])
  (:import (java.time Instant)))

(def ^:private body-limit "Bytes; a list of permissions is far shorter." 8192)

(def ^:private logins "At a time: each keeps a core busy, and the rest of Jetty's 50 threads have other work." 20)

(defn- unauthorized [why]
  (refuse 401 why {"WWW-Authenticate" "Bearer"}))

(defn- given?
  "A parameter that is missing, empty or there more than once is no string with text in it."
  [parameter]
  (and (string? parameter) (not (str/blank? parameter))))

(defn- issue-token [{:keys [users] :as settings} {{:strs [uid pwd]} :query-params}]
  (if (and (given? uid) (given? pwd))
    (if-let [user (users/authenticate users uid pwd)]
      (let [{:keys [token expires]} (tokens/issue settings user (Instant/now))]
        (answer 200 {:user user, :expires (str expires)} {"Authorization" (str "Bearer " token)}))
      (unauthorized "no such user, or another password"))
    (refuse 400 "uid and pwd must be given, once each")))

(defn- bearer [headers]
  (second (re-matches #"(?i)bearer +(\S+)" (headers "authorization" ""))))

(defn- validate-token [{:keys [users] :as settings} {:keys [headers form-params]}]
  (let [user        (some-> (bearer headers) (as-> token (tokens/subject settings token (Instant/now))))
        perms       (form-params "perms")
        permissions (when (given? perms) (remove str/blank? (map str/trim (str/split perms #","))))]
    (cond
      (nil? user)          (unauthorized "no valid token: send one as `Authorization: Bearer TOKEN`")
      (empty? permissions) (refuse 400 "perms must be given, once, as a form field: perms=a,b")
      :else                (answer 200 (users/holds-all? users user permissions)))))

(defn handler
  "The whole service as a Ring handler. `stopping?` says whether it has been told to stop."
  [settings stopping?]
  (http/handler {"/tokens"          {:get (http/limit-concurrency (partial #'issue-token settings) logins)}
                 "/tokens/validate" {:post (partial #'validate-token settings)}
                 "/openapi.json"    {:get (http/document (slurp (io/resource "openapi.json")))}}
                {:stopping? stopping?, :ready? (constantly true), :body-limit body-limit}))
