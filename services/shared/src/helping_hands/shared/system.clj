(ns helping-hands.shared.system
  "A service on the database, from its settings to a server that answers, and back."
  (:require [clojure.java.io :as io]
            [clojure.string :as str]
            [helping-hands.shared.api :as api]
            [helping-hands.shared.calls :as calls]
            [helping-hands.shared.config :as config]
            [helping-hands.shared.db :as db]
            [helping-hands.shared.http :as http]
            [helping-hands.shared.server :as server]))

(def ^:private body-limit "Bytes; what is sent here is a form's worth." 16384)

(defn- faults [{:strs [POSTGRES_PASSWORD POSTGRES_PORT] :or {POSTGRES_PORT "5432"}}]
  (concat
   (when (str/blank? POSTGRES_PASSWORD) ["POSTGRES_PASSWORD is not set"])
   (when-not (config/port? (parse-long POSTGRES_PORT)) ["POSTGRES_PORT is not a port number"])))

(defn settings
  "What a service on the database runs with, from conf.edn's content and a map of environment variables: what all run with,
  :db, and :urls by the names of the services that it calls. Throws ex-info that names every fault."
  [needs conf env]
  (merge (config/settings conf env (concat (config/faults conf env) (faults env)))
         {:db   {:host     (env "POSTGRES_HOST" "postgres")
                 :port     (parse-long (env "POSTGRES_PORT" "5432"))
                 :name     (env "POSTGRES_DB" "helping_hands")
                 :user     (env "POSTGRES_USER" "helping_hands")
                 :password (env "POSTGRES_PASSWORD")}
          :urls (into {} (for [need needs]
                           [need (env (str (str/upper-case need) "_URL") (str "http://" need ":8080"))]))}))

(defn start
  "Serves what the resource openapi.json describes by `operations`, {operationId f}, on a database with these migrations;
  `background` takes the system and answers a function that ends what it began. The result is what `stop` takes."
  ([settings migrations operations]
   (start settings migrations operations (constantly (fn []))))
  ([settings migrations operations background]
   (let [system {:urls (:urls settings), :db (db/open (:db settings) migrations), :settings settings}
         routes (api/routes (slurp (io/resource "openapi.json")) (update-vals operations db/operation) system)]
     (doto (Thread. ^Runnable calls/warm-up! "warm-up")
       (.setDaemon true)
       (.start))
     (assoc (server/start settings #(http/handler routes {:stopping?  %
                                                          :ready?     (fn [] (db/ready? (:db system)))
                                                          :body-limit body-limit}))
            :system system
            :end (background system)))))

(defn stop
  "Ends the server once requests under way have their answers, then what runs in the background, then the connections."
  [{:keys [system end] :as service}]
  (server/stop service)
  (end)
  (db/close (:db system)))
