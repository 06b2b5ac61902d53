(ns helping-hands.alert.post
  "Sends a message by SMTP."
  (:require [clojure.string :as str]
            [helping-hands.shared.queue :as queue]
            [helping-hands.shared.table :as table])
  (:import (jakarta.mail Message$RecipientType MessagingException Session Transport)
           (jakarta.mail.internet AddressException InternetAddress MimeMessage)
           (java.util Date Properties)
           (org.eclipse.angus.mail.smtp SMTPAddressFailedException SMTPSendFailedException)))

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

(defn- code
  "The SMTP reply code in one link of a chain of errors; 0 where there is none."
  [error]
  (condp instance? error
    SMTPAddressFailedException (.getReturnCode ^SMTPAddressFailedException error)
    SMTPSendFailedException    (.getReturnCode ^SMTPSendFailedException error)
    0))

(defn refused?
  "Was the message refused for good: by a reply of 5xx (RFC 5321, 4.2.1), or for an address that is none?"
  [error]
  (boolean (some #(or (instance? AddressException %) (<= 500 (code %) 599))
                 (take-while some? (iterate #(when (instance? MessagingException %)
                                               (.getNextException ^MessagingException %))
                                            error)))))

(defn nobody?
  "Is an address one that nobody can have? RFC 6761 keeps the domain `invalid` for that."
  [to]
  (str/ends-with? (str/lower-case to) ".invalid"))

(defn post
  "Sends a message of the queue: what settles it (see `queue/work-one`) records that it was sent."
  [mail {:strs [to subject] :as message}]
  (if (nobody? to)
    (fn [_ _])
    (do
      (try (send! mail message)
           (catch MessagingException error
             (throw (if (refused? error) (queue/final error) error))))
      (fn [tx id]
        (table/insert tx sent {"id" (str id), "recipient" to, "subject" subject})))))
