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
  (:import (java.net ServerSocket)
           (jakarta.mail MessagingException)
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

(defn- conversation
  "Sends an e-mail to a server that answers {word of the client reply}; a reply of nil cuts the connection. The error, or nil."
  [replies]
  (with-open [listener (ServerSocket. 0)]
    (let [served (future
                   (with-open [socket (.accept listener)
                               in     (io/reader socket)
                               out    (io/writer socket)]
                     (.setSoLinger socket true 0)           ; closed, it is reset
                     (let [say #(doto out (.write (str % "\r\n")) .flush)]
                       (say "220 here")
                       (loop [text? false]
                         (when-let [line (.readLine in)]
                           (let [word (first (str/split line #" "))]
                             (cond
                               (and text? (not= "." line)) (recur true)
                               (contains? replies word)    (when-let [reply (replies word)] (say reply) (recur false))
                               (= "DATA" word)             (do (say "354 go on") (recur true))
                               :else                       (do (say "250 well") (recur false)))))))))
          mail   {:host "127.0.0.1", :port (str (.getLocalPort listener)), :from "bookings@localhost"}]
      (try
        (post/post mail {"to" "ann@example.org", "subject" "s", "text" "t"})
        nil
        (catch Exception error error)
        (finally @served)))))

(deftest a-server-that-took-the-message-and-says-no-goodbye-is-not-sent-it-again
  (is (nil? (conversation {"QUIT" nil}))))

(deftest what-is-refused-is-told-in-the-servers-words-and-what-is-about-the-sender-is-not-for-good
  (are [replies words final] (let [error (conversation replies)]
                               (and (str/includes? (ex-message error) words)
                                    (= final (contains? (ex-data error) ::queue/final))))
    {"RCPT" "550 no such user"}            "550 no such user"         true
    {"RCPT" "451 greylisted"}              "451 greylisted"           false
    {"MAIL" "530 Must issue STARTTLS"}     "530 Must issue STARTTLS"  false
    {"."    "554 that is spam"}            "554 that is spam"         true))

(deftest its-settings-are-checked-before-it-starts
  (let [told #(try (main/settings {:port 8080, :stop {:drain-seconds 0, :finish-seconds 1}}
                                  (merge {"POSTGRES_PASSWORD" "x"} %))
                   (catch clojure.lang.ExceptionInfo error (ex-message error)))]
    (is (= "SMTP_PORT is not a port number; MAIL_FROM is not an address"
           (told {"SMTP_PORT" "abc", "MAIL_FROM" "Bookings <a@b"})))
    (is (= "MAIL_FROM is not an address" (told {"MAIL_FROM" ""}) (told {"MAIL_FROM" "a@b.org, c@d.org"})))
    (is (= {:host "mail", :port "1025", :from "Bookings <a@b.org>"} (:mail (told {"MAIL_FROM" "Bookings <a@b.org>"}))))))

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
