(ns helping-hands.shared.client
  "A client plain enough to send a service anything, and what the service logs meanwhile."
  (:require [clojure.data.json :as json]
            [clojure.string :as str])
  (:import (java.io ByteArrayOutputStream PrintStream)
           (java.net Socket)))

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

(defn logged
  "What `act` logs, as text."
  [act]
  (let [out System/out, bytes (ByteArrayOutputStream.)]
    (System/setOut (PrintStream. bytes true))
    (try (act) (finally (System/setOut out)))
    (str bytes)))
