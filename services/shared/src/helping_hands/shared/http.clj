(ns helping-hands.shared.http
  "What every request meets, whatever it asks for: JSON answers, routes, limits, health, the last resort, the log."
  (:require [clojure.data.json :as json]
            [clojure.string :as str]
            [helping-hands.shared.log :as log]
            [ring.middleware.head :refer [wrap-head]]
            [ring.middleware.params :refer [wrap-params]]
            [ring.util.codec :refer [url-decode]])
  (:import (java.io ByteArrayInputStream IOException InputStream)
           (java.util Arrays UUID)
           (java.util.concurrent Semaphore)
           (org.eclipse.jetty.http BadMessageException)))

(defn answer
  "A response with `body` as JSON."
  ([status body] (answer status body {}))
  ([status body headers]
   (let [json (json/write-str body :escape-slash false)]    ; ASCII: other characters are escaped
     {:status  status
      :headers (merge {"Content-Type"   "application/json"
                       "Content-Length" (str (count json))
                       "Cache-Control"  "no-store"}
                      headers)
      :body    json})))

(defn refuse
  "A response that says why there is nothing better."
  ([status why] (refuse status why {}))
  ([status why headers] (answer status {:error why} headers)))

(defn document
  "An endpoint that answers with this JSON text."
  [text]
  (fn [_] {:status 200, :headers {"Content-Type" "application/json"}, :body text}))

(defn- allowed [methods]
  (str/join ", " (sort (cond-> (map (comp str/upper-case name) (keys methods))
                         (:get methods) (conj "HEAD")))))

(defn- segments [path] (str/split path #"/" -1))

(defn- template
  "A path as what its segments must be: text, or the name of a parameter, `{id}`, as a keyword."
  [path]
  (mapv #(if-let [[_ parameter] (re-matches #"\{(\w+)\}" %)] (keyword parameter) %) (segments path)))

(defn- matched
  "The parameters, {name text}, of a path that has the form of `template`, or nil."
  [template path]
  (let [given (segments path)]
    (when (= (count template) (count given))
      (reduce (fn [parameters [wanted segment]]
                (cond
                  (keyword? wanted)  (assoc parameters (name wanted) (url-decode segment))
                  (= wanted segment) parameters
                  :else              (reduced nil)))
              {}
              (map vector template given)))))

(defn route
  "Hands a request to its endpoint in `routes`, {path {method endpoint}}, with :path-params for a path such as
  \"/orders/{id}\", to which one without parameters is preferred; `handler` makes HEAD a GET."
  [routes]
  (let [templates (sort-by #(count (filter keyword? (first %))) (update-keys routes template))
        found     (fn [uri] (some (fn [[template methods]]
                                    (when-let [parameters (matched template uri)]
                                      [methods parameters]))
                                  templates))]
    (fn [{:keys [uri request-method] :as request}]
      (let [[methods parameters] (found (str uri))      ; CONNECT has none
            endpoint             (get methods request-method)]
        (cond
          endpoint (endpoint (assoc request :path-params parameters))
          methods  (refuse 405 "this method is not allowed here" {"Allow" (allowed methods)})
          :else    (refuse 404 "there is nothing at this path"))))))

(def ^:private body-seconds "For a client to send a body, which keeps a place from others." 10)

(defn- content
  "A body's bytes, at most one more than `limit`, or nil when the client broke it off, garbled it, or took too long."
  ^bytes [^InputStream body limit]
  (let [buffer (byte-array (inc limit))
        until  (+ (System/nanoTime) (* body-seconds 1000000000))]
    (try
      (loop [have 0]
        (let [more (long (if (< limit have) -1 (.read body buffer have (- (inc limit) have))))]
          (cond
            (neg? more)                 (Arrays/copyOf buffer (int have))
            (< until (System/nanoTime)) nil
            :else                       (recur (+ have more)))))
      (catch IOException _ nil)
      (catch BadMessageException _ nil))))

(defn- limit-body
  "Reads the body, of at most `limit` bytes, before the handler sees it."
  [handler limit]
  (fn [{:keys [content-length body] :as request}]
    (let [too-long #(refuse 413 (str "a body here has at most " limit " bytes") {"Connection" "close"})]
      (if (< limit (or content-length 0))
        (too-long)
        (if-let [content (content body limit)]
          (if (< limit (count content))
            (too-long)
            (handler (assoc request :body (ByteArrayInputStream. content))))
          (refuse 400 "the body cannot be read" {"Connection" "close"}))))))

(def ^:private at-once "Requests; the rest of Jetty's 50 threads are there to tell of health." 40)

(defn limit-concurrency
  "Lets at most `limit` requests in at a time, and asks the others to come back."
  [handler limit]
  (let [places (Semaphore. limit)]
    (fn [request]
      (if (.tryAcquire places)
        (try (handler request) (finally (.release places)))
        (refuse 503 "too many of these at once: try again" {"Retry-After" "1"})))))

(defn- health? [uri] (str/starts-with? (str uri) "/health/"))

(defn- tell-health
  "Answers for health before anything that may wait, such as for a body or for a place among those that are let in."
  [handler {:keys [stopping? ready?]}]
  (let [health (route {"/health/live"  {:get (fn [_] (answer 200 {:status "live"}))}
                       "/health/ready" {:get (fn [_] (cond
                                                       (stopping?) (answer 503 {:status "stopping"})
                                                       (ready?)    (answer 200 {:status "ready"})
                                                       :else       (answer 503 {:status "waiting"})))}})]
    (fn [{:keys [uri] :as request}]
      (if (health? uri) (health request) (handler request)))))

(defn- request-id
  "The caller's own, when it is fit for a log and a header, or a new one."
  [headers]
  (or (re-matches #"[\w.-]{1,64}" (headers "x-request-id" ""))
      (str (UUID/randomUUID))))

(defn- plain-path
  "What a log may show of a URL: no query, which holds a password, nor what looks like one that lost its question mark."
  [uri]
  (re-find #"^[\w/.-]{0,200}" (str uri)))                   ; CONNECT has none

(defn give-up
  "Ends the handling of a request with this response, from however deep it is."
  [response]
  (throw (ex-info (str "refused with " (:status response)) {::response response})))

(defn unavailable
  "A response for when `what` is needed and does not answer."
  [what]
  (refuse 503 (str what " does not answer: try again") {"Retry-After" "1"}))

(defn- catch-errors
  "Answers 500 to what the handler throws, and logs it: the only place that needs to."
  [handler]
  (fn [request]
    (try
      (handler request)
      (catch Throwable error
        (or (::response (ex-data error))
            (do (log/error "the handler failed" {:request_id (:request-id request), :error error})
                (refuse 500 "this is our fault, not yours")))))))

(defn- log-requests
  "Gives every request an id, which the response repeats, and logs it; health checks at debug level."
  [handler]
  (fn [{:keys [uri request-method headers] :as request}]
    (let [id       (request-id headers)
          path     (plain-path uri)
          started  (System/nanoTime)
          response (handler (assoc request :request-id id))]
      (log/log (if (health? path) "debug" "info")
               "request"
               {:request_id id
                :method     (str/upper-case (name request-method))
                :path       path
                :status     (:status response)
                :ms         (/ (quot (- (System/nanoTime) started) 10000) 100.0)})
      (assoc-in response [:headers "X-Request-Id"] id))))

(defn- close-when-stopping
  "Asks callers that keep their connection to open another, which whoever routes requests sends elsewhere."
  [handler stopping?]
  (fn [request]
    (cond-> (handler request)
      (stopping?) (assoc-in [:headers "Connection"] "close"))))

(defn handler
  "A whole service as a Ring handler: `routes` as `route` takes them, and health. `stopping?` says whether it has been
  told to stop, `ready?` whether it has all that it needs; :body-limit is in bytes."
  [routes {:keys [stopping? body-limit] :as service}]
  (-> (route routes)
      (wrap-params {:encoding "UTF-8"})
      (limit-body body-limit)
      (limit-concurrency at-once)
      (tell-health service)
      wrap-head
      catch-errors
      (close-when-stopping stopping?)
      log-requests))
