(ns helping-hands.shared.contract
  "What holds for every service on the database, tried on one that runs while its database is away."
  (:require [clojure.data.json :as json]
            [clojure.java.io :as io]
            [clojure.string :as str]
            [clojure.test :refer [is testing]]
            [helping-hands.shared.client :refer [bearer exchange request]]
            [helping-hands.shared.config :as config]
            [helping-hands.shared.system :as system]
            [ring.util.codec :refer [url-decode]])
  (:import (com.sun.net.httpserver HttpHandler HttpServer)
           (java.net InetSocketAddress)))

(defn settings
  "Those of conf.edn, on a free port, with a database that nobody answers for."
  [needs]
  (system/settings needs
                   (assoc-in (config/read-file "config/conf.edn") [:stop :drain-seconds] 0)
                   {"PORT" "0", "POSTGRES_HOST" "127.0.0.1", "POSTGRES_PORT" "1", "POSTGRES_PASSWORD" "none"}))

(defn- auth
  "Auth that says of every token that it lacks what it is asked for, and keeps that in the atom `asked`."
  ^HttpServer [asked]
  (doto (HttpServer/create (InetSocketAddress. "127.0.0.1" 0) 0)
    (.createContext "/tokens/validate"
                    (reify HttpHandler
                      (handle [_ exchange]
                        (reset! asked (url-decode (slurp (.getRequestBody exchange))))
                        (.sendResponseHeaders exchange 200 5)
                        (with-open [out (.getResponseBody exchange)]
                          (.write out (.getBytes "false"))))))
    .start))

(defn check
  "Tries a service that `start` makes of settings; `operations` is what it does, by operationId."
  [start operations]
  (let [document (json/read-str (slurp (io/resource "openapi.json")))
        declared (for [[path methods] (document "paths"), [method {:strs [operationId responses x-permissions]}] methods
                       :when (not= "document" operationId)]
                   [(str (str/upper-case method) " " (str/replace path "{id}" "00000000-0000-0000-0000-000000000000"))
                    operationId (set (keys responses)) x-permissions])
        asked    (atom nil)
        auth     (auth asked)
        service  (start (assoc-in (settings ["auth" "consumer" "provider" "service"])
                                  [:urls "auth"] (str "http://127.0.0.1:" (.getPort (.getAddress auth)))))
        ask      (fn [line & headers] (exchange service (apply request line headers)))]
    (try
      (testing "it has ended within 18 seconds, of which the last threads and connections may take five"
        (is (<= (apply + (vals (:stop (config/read-file "config/conf.edn")))) 13)))
      (testing "the document and the operations name the same"
        (is (= (set (map second declared)) (set (keys operations)))))
      (testing "the document is served"
        (is (= document (:body (ask "GET /openapi.json")))))
      (testing "it lives, and is not ready, while the database is away"
        (is (= 200 (:status (ask "GET /health/live"))))
        (is (= 503 (:status (ask "GET /health/ready")))))
      (testing "who has no token is refused, and the document says so"
        (doseq [[line _ codes] declared]
          (is (= 401 (:status (ask line))) line)
          (is (contains? codes "401") line)
          (is (contains? codes "503") line)))
      (testing "who lacks a permission is refused: auth is asked for those that the document names"
        (doseq [[line _ codes permissions] declared]
          (is (seq permissions) line)
          (is (= 403 (:status (ask line (bearer "a")))) line)
          (is (= (str "perms=" (str/join "," permissions)) @asked) line)
          (is (contains? codes "403") line)))
      (finally
        (system/stop service)
        (.stop auth 0)))))

(defn faults
  "What a settings function says of an environment without what it needs."
  [needs]
  (try (system/settings needs {:port 8080, :stop {:drain-seconds 0, :finish-seconds 1}} {"POSTGRES_PORT" "many"})
       (catch clojure.lang.ExceptionInfo error (ex-message error))))
