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
                                   "mail.smtp.timeout" "10000", "mail.smtp.writetimeout" "10000"
                                   "mail.smtp.quitwait" "false"})))) ; it has the message by then

(defn send!
  "Sends a message, {\"to\", \"subject\", \"text\"}, through the server of `mail`, {:host, :port, :from}. Throws when that
  does not take it."
  [{:keys [from] :as mail} {:strs [to subject text]}]
  (Transport/send (doto (MimeMessage. ^Session (session mail))
                    (.setFrom (InternetAddress. ^String from))
                    (.setRecipient Message$RecipientType/TO (InternetAddress. ^String to true))
                    (.setSubject subject "UTF-8")
                    (.setText text "UTF-8")
                    (.setSentDate (Date.)))))

(defn address?
  "Is this one address that mail may come from?"
  [text]
  (try
    (= 1 (count (InternetAddress/parse text true)))
    (catch AddressException _ false)))

(defn- code
  "The SMTP reply code in one link of a chain of errors, where it is about the message; else 0. What is answered to MAIL is
  about who sends, which is the same for all."
  [error]
  (condp instance? error
    SMTPAddressFailedException (.getReturnCode ^SMTPAddressFailedException error)
    SMTPSendFailedException    (if (str/starts-with? (str (.getCommand ^SMTPSendFailedException error)) "MAIL")
                                 0
                                 (.getReturnCode ^SMTPSendFailedException error))
    0))

(defn- links [error]
  (take-while some? (iterate #(when (instance? MessagingException %) (.getNextException ^MessagingException %)) error)))

(defn refused?
  "Was the message refused for good: by a reply of 5xx (RFC 5321, 4.2.1), or for an address that is none?"
  [error]
  (boolean (some #(or (instance? AddressException %) (<= 500 (code %) 599)) (links error))))

(defn- told
  "The error with the words of all its links: the server's own are not in the first."
  [error]
  (ex-info (str/join "; " (distinct (map str/trim (keep ex-message (links error))))) {} error))

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
             (throw (cond-> (told error) (refused? error) queue/final))))
      (fn [tx id]
        (table/insert tx sent {"id" (str id), "recipient" to, "subject" subject})))))
