(ns mail.main
  "Catches e-mail for whoever tries things out: what comes by SMTP is printed, one line of JSON a message."
  (:require [clojure.data.json :as json]
            [clojure.string :as str])
  (:import (jakarta.mail Session)
           (jakarta.mail.internet MimeMessage MimeUtility)
           (java.io ByteArrayInputStream)
           (java.util Properties)
           (org.subethamail.smtp.helper BasicMessageListener)
           (org.subethamail.smtp.server SMTPServer))
  (:gen-class))

(defn message
  "What a caught message says: envelope, subject and text, as strings."
  [from to ^bytes data]
  (let [parsed (MimeMessage. (Session/getInstance (Properties.)) (ByteArrayInputStream. data))]
    {:from    from
     :to      to
     :subject (some-> (.getSubject parsed) MimeUtility/decodeText)
     :text    (str/trim-newline (str (.getContent parsed)))}))

(defn start
  "An SMTP server on a port of all addresses, 0 for a free one, that gives each message to `caught`."
  ^SMTPServer [port caught]
  (let [listener (reify BasicMessageListener
                   (messageArrived [_ _ from to data] (caught (message from to data))))]
    (doto (-> (SMTPServer/port (int port)) (.messageHandler listener) .build)
      .start)))

(defn -main [& _]
  (let [server (start 1025 #(locking *out* (println (json/write-str %)) (flush)))]
    (.addShutdownHook (Runtime/getRuntime) (Thread. #(.stop server)))))
