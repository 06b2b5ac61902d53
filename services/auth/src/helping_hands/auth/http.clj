(ns helping-hands.auth.http
  "What every request meets, whatever it asks for: JSON answers, routes, a limit, the last resort, the log."
  (:require [clojure.data.json :as json]
            [clojure.string :as str]
            [helping-hands.auth.log :as log])
  (:import (java.io ByteArrayInputStream IOException InputStream)
           (java.util UUID)
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

(defn- allowed [methods]
  (str/join ", " (sort (cond-> (map (comp str/upper-case name) (keys methods))
                         (:get methods) (conj "HEAD")))))

(defn route
  "Hands a request to its endpoint in `routes`, {path {method endpoint}}; ring.middleware.head makes HEAD a GET."
  [routes]
  (fn [{:keys [uri request-method] :as request}]
    (let [methods  (routes uri)
          endpoint (get methods request-method)]
      (cond
        endpoint (endpoint request)
        methods  (refuse 405 "this method is not allowed here" {"Allow" (allowed methods)})
        :else    (refuse 404 "there is nothing at this path")))))

(defn- content
  "A body's bytes, at most one more than `limit`, or nil when the client broke it off or garbled it."
  ^bytes [^InputStream body limit]
  (try
    (.readNBytes body (inc limit))
    (catch IOException _ nil)
    (catch BadMessageException _ nil)))

(defn limit-body
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

(defn limit-concurrency
  "Lets at most `limit` requests in at a time, and asks the others to come back."
  [handler limit]
  (let [places (Semaphore. limit)]
    (fn [request]
      (if (.tryAcquire places)
        (try (handler request) (finally (.release places)))
        (refuse 503 "too many of these at once: try again" {"Retry-After" "1"})))))

(defn- request-id
  "The caller's own, when it is fit for a log and a header, or a new one."
  [headers]
  (or (re-matches #"[\w.-]{1,64}" (headers "x-request-id" ""))
      (str (UUID/randomUUID))))

(defn- plain-path
  "What a log may show of a URL: no query, which holds a password, nor what looks like one that lost its question mark."
  [uri]
  (re-find #"^[\w/.-]{0,200}" (str uri)))                   ; CONNECT has none

(defn catch-errors
  "Answers 500 to what the handler throws, and logs it: the only place that needs to."
  [handler]
  (fn [request]
    (try
      (handler request)
      (catch Throwable error
        (log/error "the handler failed" {:request_id (:request-id request), :error error})
        (refuse 500 "this is our fault, not yours")))))

(defn log-requests
  "Gives every request an id, which the response repeats, and logs it; health checks at debug level."
  [handler]
  (fn [{:keys [uri request-method headers] :as request}]
    (let [id       (request-id headers)
          path     (plain-path uri)
          started  (System/nanoTime)
          response (handler (assoc request :request-id id))]
      (log/log (if (str/starts-with? path "/health/") "debug" "info")
               "request"
               {:request_id id
                :method     (str/upper-case (name request-method))
                :path       path
                :status     (:status response)
                :ms         (/ (quot (- (System/nanoTime) started) 10000) 100.0)})
      (assoc-in response [:headers "X-Request-Id"] id))))
