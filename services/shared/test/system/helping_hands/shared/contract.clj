(ns helping-hands.shared.contract
  "What holds for every service on the database, tried on one that runs while its database is away."
  (:require [clojure.data.json :as json]
            [clojure.java.io :as io]
            [clojure.string :as str]
            [clojure.test :refer [is testing]]
            [helping-hands.shared.client :refer [exchange request]]
            [helping-hands.shared.config :as config]
            [helping-hands.shared.system :as system]))

(defn settings
  "Those of conf.edn, on a free port, with a database that nobody answers for."
  [needs]
  (system/settings needs
                   (assoc-in (config/read-file "config/conf.edn") [:stop :drain-seconds] 0)
                   {"PORT" "0", "POSTGRES_HOST" "127.0.0.1", "POSTGRES_PORT" "1", "POSTGRES_PASSWORD" "none"}))

(defn check
  "Tries a service that `start` makes of settings; `operations` is what it does, by operationId."
  [start operations]
  (let [document (json/read-str (slurp (io/resource "openapi.json")))
        declared (for [[path methods] (document "paths"), [method {:strs [operationId responses]}] methods
                       :when (not= "document" operationId)]
                   [path method operationId (set (keys responses))])
        service  (start (settings ["auth" "consumer" "provider" "service"]))
        ask      (fn [line] (exchange service (request line)))]
    (try
      (testing "it has ended within 18 seconds, of which the last threads and connections may take five"
        (is (<= (apply + (vals (:stop (config/read-file "config/conf.edn")))) 13)))
      (testing "the document and the operations name the same"
        (is (= (set (map #(nth % 2) declared)) (set (keys operations)))))
      (testing "the document is served"
        (is (= document (:body (ask "GET /openapi.json")))))
      (testing "it lives, and is not ready, while the database is away"
        (is (= 200 (:status (ask "GET /health/live"))))
        (is (= 503 (:status (ask "GET /health/ready")))))
      (testing "who has no token is refused, and the document says so"
        (doseq [[path method _ codes] declared
                :let [path (str/replace path "{id}" "00000000-0000-0000-0000-000000000000")]]
          (is (= 401 (:status (ask (str (str/upper-case method) " " path)))) path)
          (is (contains? codes "401") path)
          (is (contains? codes "503") path)))
      (finally (system/stop service)))))

(defn faults
  "What a settings function says of an environment without what it needs."
  [needs]
  (try (system/settings needs {:port 8080, :stop {:drain-seconds 0, :finish-seconds 1}} {"POSTGRES_PORT" "many"})
       (catch clojure.lang.ExceptionInfo error (ex-message error))))
