(ns helping-hands.auth.service-test
  "The service over a socket, as its callers see it."
  (:require [clojure.data.json :as json]
            [clojure.string :as str]
            [clojure.test :refer [are deftest is testing use-fixtures]]
            [helping-hands.auth.main :as main]
            [helping-hands.auth.running :refer [login new-key settings validate with-service]]
            [helping-hands.shared.client :refer [bearer exchange logged open receive request send!]]
            [helping-hands.shared.log :as log]
            [helping-hands.shared.server :as server])
  (:import (java.net ConnectException)))

(def ^:private key-in-use (new-key))

(def ^:dynamic *service* nil)

(use-fixtures :once
  (fn [tests]
    (log/capture-java-logging!)
    (logged (fn [] (with-service (settings key-in-use) #(binding [*service* %] (tests)))))))

(defn- status [text] (:status (exchange *service* text)))

(deftest a-known-user-gets-a-token
  (let [{:keys [status headers body]} (exchange *service* (request "GET /tokens?uid=hhuser&pwd=hhuser"))]
    (is (= 200 status))
    (is (re-matches #"Bearer [\w-]+(\.[\w-]+){4}" (headers "authorization")))
    (is (= "no-store" (headers "cache-control")))
    (is (= #{"user" "expires"} (set (keys body))))
    (is (= "hhuser" (body "user")))))

(deftest a-request-gets-what-it-deserves
  (are [line wanted] (let [{:keys [status body headers]} (exchange *service* (request line))]
                       (and (= wanted status)
                            (= "application/json" (headers "content-type"))
                            (or (= 200 status) (string? (body "error")))))
    "GET /health/live"                            200
    "GET /health/ready"                           200
    "GET /tokens"                                 400
    "GET /tokens?uid=hhuser"                      400
    "GET /tokens?pwd=hhuser"                      400
    "GET /tokens?uid=&pwd="                       400
    "GET /tokens?uid=hhuser&uid=hhuser&pwd=x"     400
    "GET /tokens?uid=%zz&pwd=%"                   400
    "GET /tokens?uid=hhuser&pwd=wrong"            401
    "GET /tokens?uid=hhuser&pwd=%00"              401
    "GET /tokens?uid=%FF%FE&pwd=%C0%80"           401
    "GET /tokens?uid=nobody&pwd=hhuser"           401
    "GET /"                                       404
    "GET /tokens/"                                404
    "GET /tokens;uid=hhuser;pwd=hhuser"           404
    "GET /health/../../tokens"                    400
    "GET /%"                                      400
    "GET /\u00ff\u00fe"                           400
    "POST /tokens"                                405
    "GET /tokens/validate"                        405
    "BREW /health/live"                           405
    "OPTIONS *"                                   404
    "CONNECT auth:80"                             404
    "not http"                                    400))

(deftest a-wrong-method-is-told-the-right-one
  (are [line allowed] (= allowed (get-in (exchange *service* (request line)) [:headers "allow"]))
    "DELETE /tokens"       "GET, HEAD"
    "GET /tokens/validate" "POST"))

(deftest head-is-get-without-a-body
  (is (= {:status 200, :body nil} (select-keys (exchange *service* (request "HEAD /health/live")) [:status :body]))))

(deftest a-token-says-what-its-holder-may-do
  (let [user (login *service* "hhuser"), admin (login *service* "hhadmin")]
    (are [token perms wanted] (= [200 wanted] ((juxt :status :body) (validate *service* token perms)))
      user  "order.read"                     true
      user  "order.read,consumer.write"      true
      user  "order.read,,%20consumer.read,"  true
      user  "order.read,user.admin"          false
      user  "%FF%FE"                         false
      admin "order.read,user.admin"          true)
    (are [form] (= 400 (status (request "POST /tokens/validate" (bearer user) form)))
      "" "perms" "perms=" "perms=,," "perms=%zz" "other=a" "perms=a&perms=b" "\u0000\u00ff")))

(deftest what-is-no-token-of-ours-is-refused
  (let [token (login *service* "hhuser")]
    (with-service (settings (new-key))
      (fn [elsewhere]
        (is (= 401 (:status (validate elsewhere token "order.read"))))
        (are [text] (= 401 (:status (validate *service* text "order.read")))
          "" "nonsense" "...." "e30.a.b.c.d" (str token "-x") (str token ", " token) "\u00ff\u0080.a.b.c.d"
          (str/replace token #"^..." "eyK") (login elsewhere "hhuser"))))
    (are [header] (= 401 (status (request "POST /tokens/validate" {"Authorization" header} "perms=order.read")))
      token (str "Basic " token) "Bearer" "bearer")
    (is (= 200 (status (request "POST /tokens/validate" {"authorization" (str "bearer " token)} "perms=order.read"))))))

(deftest a-restart-keeps-tokens-good
  (let [token (login *service* "hhuser")]
    (with-service (settings key-in-use)
      #(is (true? (:body (validate % token "order.read")))))))

(deftest an-expired-token-is-refused
  (with-service (assoc (settings key-in-use) :token {:lifetime-seconds 0, :skew-seconds 0})
    #(is (= 401 (:status (validate % (login % "hhuser") "order.read"))))))

(deftest a-body-that-is-too-long-or-broken-is-refused
  (let [token (login *service* "hhuser")
        post  (fn [headers body] (status (str (request "POST /tokens/validate" (merge (bearer token) headers)) body)))]
    (is (= 413 (:status (validate *service* token (apply str (repeat 9000 "a"))))))
    (are [headers body wanted] (= wanted (post headers body))
      {"Transfer-Encoding" "chunked"} (str "2800\r\n" (apply str (repeat 10240 "a")) "\r\n0\r\n\r\n") 413
      {"Transfer-Encoding" "chunked"} "zz\r\n"                                                       400
      {"Transfer-Encoding" "chunked"} "50\r\nperms"                                                  400
      {"Content-Length" "50"}         "perms=a"                                                      400
      {"Content-Length" "4294967297"} "perms=a"                                                      400
      {"Content-Length" "-1"}         "perms=a"                                                      400
      {"Cookie" (apply str (repeat 9000 "a"))} ""                                                    431)))

(deftest many-callers-at-once-get-their-own-answers
  (let [callers (for [n (range 16)] (nth ["hhuser" "hhprovider" "hhadmin"] (mod n 3)))
        answers (->> callers
                     (mapv #(future (:body (validate *service* (login *service* %) "provider.write"))))
                     (mapv deref))]
    (is (= (map #(not= "hhuser" %) callers) answers))))

(deftest a-flood-of-logins-is-turned-away
  (let [statuses (->> (range 40)
                      (mapv (fn [_] (future (status (request "GET /tokens?uid=hhuser&pwd=wrong")))))
                      (mapv deref))]
    (is (= #{401 503} (set statuses)))
    (is (= 200 (status (request "GET /health/live"))))))

(deftest a-request-has-an-id
  (let [id #(get-in (exchange *service* (request "GET /health/live" %)) [:headers "x-request-id"])]
    (is (= "abc-1" (id {"X-Request-Id" "abc-1"})))
    (is (re-matches #"[0-9a-f-]{36}" (id {"X-Request-Id" "no good: {}"})))
    (is (not= (id {}) (id {})))))

(defn- lines [text] (map #(json/read-str % :key-fn keyword) (str/split-lines text)))

(deftest the-log-tells-what-happened-and-no-secret
  (let [token (atom nil)
        text  (logged (fn []
                        (reset! token (login *service* "hhuser"))
                        (exchange *service* (request "GET /tokens?uid=hhuser&pwd=Pa55word" {"X-Request-Id" "wrong-1"}))
                        (exchange *service* (request "GET /tokens&uid=hhuser&pwd=Pa55word"))
                        (exchange *service* (request "GET /tokens%3Fpwd=Pa55word"))
                        (validate *service* @token "order.read")))]
    (is (= [200 401 404 404 200] (map :status (lines text))))
    (is (= {:level "info", :msg "request", :request_id "wrong-1", :method "GET", :path "/tokens", :status 401}
           (dissoc (second (lines text)) :time :ms)))
    (is (not (re-find #"Pa55word|pwd|Bearer" text)))
    (is (not (str/includes? text @token)))))

(deftest health-checks-are-logged-at-debug-level-only
  (let [health #(exchange *service* (request "GET /health/live"))]
    (try
      (log/show-from! "info")
      (is (= "" (logged health)))
      (log/show-from! "debug")
      (is (= ["/health/live"] (map :path (lines (logged health)))))
      (finally (log/show-from! "info")))))

(deftest our-own-fault-is-a-500-and-its-stack-is-logged
  (let [answer (atom nil)
        broken (assoc (settings key-in-use) :users (fn [_] (throw (IllegalStateException. "the \"disk\"\nis on fire"))))
        text   (with-service broken
                 (fn [service]
                   (logged #(reset! answer (exchange service (request "GET /tokens?uid=hhuser&pwd=hhuser"))))))
        [failure seen] (lines text)]
    (is (= 500 (:status @answer)))
    (is (not (str/includes? (str (:body @answer)) "disk")))
    (is (= "error" (:level failure)))
    (is (re-find #"(?s)IllegalStateException: the \"disk\"\nis on fire\n\tat " (:error failure)))
    (is (= (:request_id failure) (:request_id seen)))
    (is (= 500 (:status seen)))))

(defn- refused?
  "Does the service take no more connections?"
  [service]
  (try (.close (open service)) false
       (catch ConnectException _ true)))

(defn- await-true [condition]
  (let [deadline (+ (System/currentTimeMillis) 5000)]
    (while (not (or (condition) (< deadline (System/currentTimeMillis))))
      (Thread/sleep 10))
    (condition)))

(deftest a-stop-lets-requests-finish
  (let [service (main/start (assoc-in (settings key-in-use) [:stop :drain-seconds] 1))
        text    (request "POST /tokens/validate" (bearer (login service "hhuser")) "perms=order.read")]
    (with-open [half-sent (open service)]
      (send! half-sent (subs text 0 (- (count text) 4)))
      (let [stopping (future (server/stop service))]
        (testing "not ready, but answering, until those who route requests have noticed"
          (is (await-true #(= 503 (:status (exchange service (request "GET /health/ready"))))))
          (let [answer (exchange service (request "GET /health/live"))]
            (is (= 200 (:status answer)))
            (is (= "close" (get-in answer [:headers "connection"])))))
        (testing "then nothing new, but what is under way"
          (is (await-true #(refused? service)))
          (is (not (realized? stopping)))
          (send! half-sent "read")
          (is (= [200 true] ((juxt :status :body) (receive half-sent)))))
        (is (not= ::late (deref stopping 5000 ::late)))))))

(deftest a-stop-cuts-off-what-does-not-finish
  (let [service (main/start (assoc (settings key-in-use) :stop {:drain-seconds 1, :finish-seconds 1}))
        text    (request "POST /tokens/validate" (bearer "none") "perms=order.read")]
    (with-open [half-sent (open service)]
      (send! half-sent (subs text 0 (- (count text) 4)))
      (is (nil? (deref (future (server/stop service)) 10000 ::late)))
      (is (refused? service)))))
