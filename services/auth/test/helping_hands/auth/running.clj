(ns helping-hands.auth.running
  "A service that runs for a test, and a client plain enough to send it anything."
  (:require [clojure.data.json :as json]
            [clojure.string :as str]
            [helping-hands.auth.config :as config]
            [helping-hands.auth.server :as server])
  (:import (java.io ByteArrayOutputStream PrintStream)
           (java.net Socket)
           (java.security SecureRandom)
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
  (config/settings (assoc-in (config/read-file "config/conf.edn") [:stop :drain-seconds] 0)
                   {"AUTH_KEY" key, "PORT" "0"}))

(defn with-service
  "Calls `use` with a service that runs meanwhile."
  [settings use]
  (let [service (server/start settings)]
    (try (use service) (finally (server/stop service)))))

(defn- parsed [text]
  (let [[head body]     (str/split text #"\r\n\r\n" 2)
        [status & lines] (str/split-lines head)]
    {:status  (some-> (re-find #"^HTTP/1.1 (\d+)" status) second parse-long)
     :headers (into {} (for [line lines :let [[k v] (str/split line #": ?" 2)]] [(str/lower-case k) v]))
     :body    (when-not (str/blank? body) (json/read-str body))}))

(defn open
  "A connection to the service."
  ^Socket [service]
  (Socket. "127.0.0.1" (int (:port service))))

(defn send!
  "Sends these characters, one byte each."
  [^Socket socket ^String text]
  (.write (.getOutputStream socket) (.getBytes text "ISO-8859-1")))

(defn receive
  "The answer, once the service has closed the connection: {:status, :headers, :body}, the body read as JSON."
  [^Socket socket]
  (parsed (slurp (.getInputStream socket) :encoding "ISO-8859-1")))

(defn exchange
  "The answer to this text, after which the caller says no more."
  [service text]
  (with-open [socket (open service)]
    (send! socket text)
    (.shutdownOutput socket)
    (receive socket)))

(defn request
  "A request as text: its first words, headers, and a form as its body."
  ([line] (request line {}))
  ([line headers] (request line headers nil))
  ([line headers form]
   (let [headers (cond-> (merge {"Host" "auth", "Connection" "close"} headers)
                   form (->> (merge {"Content-Type"   "application/x-www-form-urlencoded"
                                     "Content-Length" (count form)})))]
     (str line " HTTP/1.1\r\n" (str/join (for [[k v] headers] (str k ": " v "\r\n"))) "\r\n" form))))

(defn bearer [token] {"Authorization" (str "Bearer " token)})

(defn login
  "A token for this user, whose password is its name."
  [service uid]
  (let [answer (exchange service (request (str "GET /tokens?uid=" uid "&pwd=" uid)))]
    (second (re-matches #"Bearer (.+)" (get-in answer [:headers "authorization"] "")))))

(defn validate [service token perms]
  (exchange service (request "POST /tokens/validate" (bearer token) (str "perms=" perms))))

(defn logged
  "What `act` logs, as text."
  [act]
  (let [out System/out, bytes (ByteArrayOutputStream.)]
    (System/setOut (PrintStream. bytes true))
    (try (act) (finally (System/setOut out)))
    (str bytes)))
