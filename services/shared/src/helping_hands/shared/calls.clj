(ns helping-hands.shared.calls
  "Calls to other services: over connections that are kept, never for long, and once more where that does no harm."
  (:require [clojure.data.json :as json]
            [clojure.string :as str]
            [helping-hands.shared.http :as http]
            [helping-hands.shared.log :as log])
  (:import (java.io IOException)
           (java.net URI)
           (java.net.http HttpClient HttpClient$Version HttpRequest HttpRequest$BodyPublishers HttpResponse
                          HttpResponse$BodyHandlers HttpTimeoutException)
           (java.time Duration)
           (java.util.concurrent CompletableFuture ExecutionException TimeUnit TimeoutException)))

(def ^:private answer-seconds 3)

(def ^:private client
  (delay
    (-> (HttpClient/newBuilder)
        (.version HttpClient$Version/HTTP_1_1)
        (.connectTimeout (Duration/ofSeconds 1))
        (.build))))

(defn warm-up!
  "Makes the client, which takes a moment, before the first call needs it."
  []
  @client)

(defn- request
  ^HttpRequest [url {:keys [form token request-id]}]
  (let [builder (-> (HttpRequest/newBuilder (URI. url))
                    (.timeout (Duration/ofSeconds answer-seconds)))]
    (when token (.header builder "Authorization" (str "Bearer " token)))
    (when request-id (.header builder "X-Request-Id" request-id))
    (when form
      (.header builder "Content-Type" "application/x-www-form-urlencoded")
      (.POST builder (HttpRequest$BodyPublishers/ofString form)))
    (.build builder)))

(defn- whole
  "What is asked for, its body too, which the request's own timeout does not count. Throws IOException."
  [^CompletableFuture asked]
  (try
    (.get asked answer-seconds TimeUnit/SECONDS)
    (catch TimeoutException _
      (.cancel asked true)                                  ; closes the connection
      (throw (HttpTimeoutException. "the answer did not end")))
    (catch ExecutionException error
      (throw (ex-cause error)))))

(defn- answered
  "{:status, :body} with the body read as JSON, or nil when what answers is not able to right now."
  [^HttpRequest request]
  (let [failed (fn [error] (log/log "warn" "a call failed" {:url (str (.uri request)), :why (str error)}))]
    (try
      (let [^HttpResponse response (whole (.sendAsync ^HttpClient @client request (HttpResponse$BodyHandlers/ofString)))]
        (when-not (<= 500 (.statusCode response))
          (try
            {:status (.statusCode response), :body (json/read-str (.body response))}
            (catch Exception error (failed error)))))       ; no JSON; data.json has no exception of its own
      (catch IOException error (failed error)))))

(defn call
  "Asks the service called `service` at `url`: {:status, :body}. A GET, or a POST where `options` has a :form, which must
  be one that may be repeated: a call that fails is tried once more. Gives up with 503 when there is no answer."
  [service url options]
  (let [request (request url options)]
    (or (answered request)
        (answered request)
        (http/give-up (http/unavailable service)))))

(defn lookup
  "What `service` keeps under `id`, a map, or nil where it has none; asked with the caller's own token. Where it asks, and
  the fields that it gives, are those that `x-calls` of the caller's document names, so that the two cannot differ. Gives up
  with 503 when there is no answer, with 403 when the caller may not know."
  [{:keys [urls calls]} caller service id]
  (let [{:strs [path reads may-read]} (first (filter #(= [service "get"] (map % ["service" "method"])) calls))
        {:keys [status body]}         (call service (str (urls service) (str/replace path "{id}" id)) caller)]
    (case (int status)
      200       (select-keys body (concat reads may-read))
      404       nil
      (401 403) (http/give-up (http/refuse status (str service ": " (body "error"))))
      (http/give-up (http/unavailable service)))))
