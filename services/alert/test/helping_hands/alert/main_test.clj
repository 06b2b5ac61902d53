(ns helping-hands.alert.main-test
  (:require [clojure.string :as str]
            [clojure.test :refer [deftest is]]
            [helping-hands.alert.main :as main]
            [helping-hands.alert.operations :as operations]
            [helping-hands.alert.post :as post]
            [helping-hands.shared.contract :as contract]
            [helping-hands.shared.queue :as queue])
  (:import (jakarta.mail MessagingException)
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
