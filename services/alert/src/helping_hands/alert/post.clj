(ns helping-hands.alert.post
  "Sends a message by SMTP."
  (:require [helping-hands.shared.table :as table])
  (:import (jakarta.mail Message$RecipientType Session Transport)
           (jakarta.mail.internet InternetAddress MimeMessage)
           (java.util Date Properties)))

(def sent
  "What was sent."
  {:name "alert.sent", :columns {"id" "uuid", "recipient" "text", "subject" "text"}})

(defn- session [{:keys [host port]}]
  (Session/getInstance (doto (Properties.)
                         (.putAll {"mail.smtp.host" host, "mail.smtp.port" port, "mail.smtp.connectiontimeout" "3000"
                                   "mail.smtp.timeout" "10000", "mail.smtp.writetimeout" "10000"}))))

(defn send!
  "Sends a message, {\"to\", \"subject\", \"text\"}, through the server of `mail`, {:host, :port, :from}. Throws when that
  does not take it."
  [{:keys [from] :as mail} {:strs [to subject text]}]
  (Transport/send (doto (MimeMessage. ^Session (session mail))
                    (.setFrom (InternetAddress. from))
                    (.setRecipient Message$RecipientType/TO (InternetAddress. to true))
                    (.setSubject subject "UTF-8")
                    (.setText text "UTF-8")
                    (.setSentDate (Date.)))))

(defn post
  "Sends a message of the queue: what settles it (see `queue/work-one`) records that it was sent."
  [mail {:strs [to subject] :as message}]
  (send! mail message)
  (fn [tx id]
    (table/insert tx sent {"id" (str id), "recipient" to, "subject" subject})))
