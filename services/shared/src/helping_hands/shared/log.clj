(ns helping-hands.shared.log
  "Logs as JSON on standard output, one object a line."
  (:require [clojure.data.json :as json])
  (:import (java.io PrintStream PrintWriter StringWriter)
           (java.time Instant)
           (java.util.logging Handler Level Logger LogManager LogRecord)))

(def levels ["debug" "info" "warn" "error"])

(defonce ^:private shown (atom (set levels)))

(defn show-from!
  "Shows `level` and what is more severe."
  [level]
  (reset! shown (set (drop-while #(not= level %) levels))))

(defn- stack-trace [^Throwable error]
  (let [text (StringWriter.)]
    (.printStackTrace error (PrintWriter. text))
    (str text)))

(defn log
  "Writes one line: `msg`, then `fields`, where :error is a Throwable and becomes its stack trace."
  [level msg {:keys [error] :as fields}]
  (when (@shown level)
    (let [line (merge (array-map :time (str (Instant/now)) :level level :msg msg)
                      (cond-> fields error (assoc :error (stack-trace error))))]
      (.println ^PrintStream System/out (json/write-str line :escape-slash false)))))

(defn info [msg fields] (log "info" msg fields))
(defn error [msg fields] (log "error" msg fields))

(defn- java-record [^LogRecord record]
  (log (if (= Level/SEVERE (.getLevel record)) "error" "warn")
       (str (.getMessage record))
       (cond-> {:logger (.getLoggerName record)}
         (.getThrown record) (assoc :error (.getThrown record)))))

(defn capture-java-logging!
  "Sends the warnings of libraries the same way; resources/jetty-logging.properties brings Jetty's here."
  []
  (.reset (LogManager/getLogManager))
  (doto (Logger/getLogger "")
    (.setLevel Level/WARNING)
    (.addHandler (proxy [Handler] []
                   (publish [record] (java-record record))
                   (flush [])
                   (close [])))))
