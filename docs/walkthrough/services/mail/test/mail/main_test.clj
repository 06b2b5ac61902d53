(ns mail.main-test
  (:require [clojure.test :refer [deftest is]]
            [mail.main :as mail])
  (:import (jakarta.mail Message$RecipientType Session Transport)
           (jakarta.mail.internet InternetAddress MimeMessage)
           (java.util Properties)))

(defn send-mail [port subject text]
  (let [session (Session/getInstance (doto (Properties.)
                                       (.put "mail.smtp.host" "127.0.0.1")
                                       (.put "mail.smtp.port" (str port))))]
    (Transport/send (doto (MimeMessage. session)
                      (.setFrom (InternetAddress. "orders@example.org"))
                      (.setRecipient Message$RecipientType/TO (InternetAddress. "ann@example.org"))
                      (.setSubject subject "UTF-8")
                      (.setText text "UTF-8")))))

(deftest a-message-is-caught-whole
  (let [caught (promise)
        server (mail/start 0 #(deliver caught %))]
    (try
      (send-mail (.getPortAllocated server) "Gebucht: Gärtner" "Ihr Termin steht.")
      (is (= {:from "orders@example.org" :to "ann@example.org" :subject "Gebucht: Gärtner" :text "Ihr Termin steht."}
             (deref caught 5000 nil)))
      (finally (.stop server)))))
