(ns helping-hands.alert.main-test
  (:require [clojure.data.json :as json]
            [clojure.java.io :as io]
            [clojure.string :as str]
            [clojure.test :refer [are deftest is]]
            [helping-hands.alert.main :as main]
            [helping-hands.alert.operations :as operations]
            [helping-hands.alert.post :as post]
            [helping-hands.shared.contract :as contract]
            [helping-hands.shared.queue :as queue]
            [helping-hands.shared.schema :as schema])
  (:import (jakarta.mail MessagingException)
           (jakarta.mail.internet AddressException InternetAddress)
           (org.subethamail.smtp RejectException)
           (org.subethamail.smtp.helper BasicMessageListener)
           (org.subethamail.smtp.server SMTPServer)))

(deftest it-does-what-every-service-does
  (contract/check #(main/start (assoc % :mail {:host "127.0.0.1", :port "1", :from "a@b"})) operations/all))

(deftest an-email-is-sent-and-one-that-is-refused-is-told
  (let [caught (promise)
        server (-> (SMTPServer/port 0)
                   (.messageHandler (reify BasicMessageListener
                                      (messageArrived [_ _ _ to data]
                                        (deliver caught [to (String. ^bytes data "UTF-8")]))))
                   .build)]
    (.start server)
    (try
      (let [mail {:host "127.0.0.1", :port (str (.getPortAllocated server)), :from "bookings@localhost"}]
        (post/send! mail {"to" "ann@example.org", "subject" "Gebucht: Gärtner", "text" "Ihr Termin steht."})
        (let [[to text] (deref caught 5000 nil)]
          (is (= "ann@example.org" to))
          (is (str/includes? text "Ihr Termin steht."))
          (is (str/includes? text "=?UTF-8?"))))
      (finally (.stop server)))
    (is (thrown? MessagingException
                 (post/send! {:host "127.0.0.1", :port "1", :from "a@b"} {"to" "ann@example.org", "subject" "s", "text" "t"})))))

(deftest what-the-server-refuses-is-for-good-and-what-it-puts-off-is-not
  (doseq [[reply final] [[550 true] [451 false]]]
    (let [server (-> (SMTPServer/port 0)
                     (.messageHandler (reify BasicMessageListener
                                        (messageArrived [_ _ _ _ _]
                                          (throw (RejectException. reply "no")))))
                     .build)]
      (.start server)
      (try
        (let [mail  {:host "127.0.0.1", :port (str (.getPortAllocated server)), :from "bookings@localhost"}
              error (try (post/send! mail {"to" "ann@example.org", "subject" "s", "text" "t"})
                         (catch MessagingException error error))]
          (is (= final (post/refused? error)) (str reply ": " error)))
        (finally (.stop server)))))
  (is (not (post/refused? (MessagingException. "away")))))

(deftest nobody-is-written-to
  (is (post/nobody? "ada@check.INVALID"))
  (is (not (post/nobody? "ada@invalid.example.org")))
  (is (fn? (post/post {:host "127.0.0.1", :port "1", :from "a@b"} {"to" "ada@check.invalid", "subject" "s", "text" "t"}))))

(deftest pauses-grow-and-end
  (is (every? #(<= 1 % 3) (repeatedly 50 #(queue/pause 1))))
  (is (every? #(<= 150 % 450) (mapcat #(repeatedly 50 (fn [] (queue/pause %))) [20 64 queue/attempts]))))

(defn- email-faults [message]
  (schema/faults (get-in (schema/inlined (json/read-str (slurp (io/resource "openapi.json")))) ["x-takes" "alert"])
                 message "it"))

(deftest an-address-that-fits-is-one-that-mail-is-sent-to
  (are [to right?] (and (= right? (empty? (email-faults {"to" to, "subject" "s", "text" "t"})))
                        (= right? (try (InternetAddress. to true) true
                                       (catch AddressException _ false))))
    "ada.king+it%1@a.b.c.d.e.example.org" true
    "a..b@example.org"                    false
    ".a@example.org"                      false
    "a.@example.org"                      false
    "a@example..org"                      false
    "a@example.org."                      false))

(deftest an-email-has-all-its-parts
  (are [message faults] (= faults (email-faults message))
    {"to" "ann@example.org", "subject" "s", "text" "t"}        []
    {"to" "ann@example.org", "subject" "a\r\nb", "text" "t"} ["it.subject must match ^[^\\r\\n]*$"]
    {"to" "ann@example.org", "text" "t"}                       ["it.subject must be given"]))

(deftest what-is-no-email-is-shown-as-far-as-it-goes
  (are [message shown] (= shown (@#'operations/shown {:id "7", :message message, :attempts 1, :why "no"}))
    {"to" "ann", "subject" "s", "text" "t"} {:id "7", :attempts 1, :why "no", "to" "ann", "subject" "s"}
    {"to" 1}                                {:id "7", :attempts 1, :why "no"}
    "text"                                  {:id "7", :attempts 1, :why "no"}))
