(ns helping-hands.shared.system
  "A service on the database, from its settings to a server that answers, and back."
  (:require [clojure.data.json :as json]
            [clojure.java.io :as io]
            [clojure.string :as str]
            [helping-hands.shared.api :as api]
            [helping-hands.shared.calls :as calls]
            [helping-hands.shared.config :as config]
            [helping-hands.shared.db :as db]
            [helping-hands.shared.http :as http]
            [helping-hands.shared.schema :as schema]
            [helping-hands.shared.server :as server]))

(def ^:private body-limit "Bytes; what is sent here is a form's worth." 16384)

(defn- faults [{:strs [POSTGRES_PASSWORD POSTGRES_PORT] :or {POSTGRES_PORT "5432"}}]
  (concat
   (when (str/blank? POSTGRES_PASSWORD) ["POSTGRES_PASSWORD is not set"])
   (when-not (config/port? (parse-long POSTGRES_PORT)) ["POSTGRES_PORT is not a port number"])))

(defn settings
  "What a service on the database runs with, from conf.edn's content and a map of environment variables: what all run with,
  :db, and :urls by the names of the services that it calls. Throws ex-info that names every fault, and those of the
  service's own."
  ([needs conf env] (settings needs conf env []))
  ([needs conf env own-faults]
   (merge (config/settings conf env (concat (config/faults conf env) (faults env) own-faults))
          {:db   {:host     (env "POSTGRES_HOST" "postgres")
                  :port     (parse-long (env "POSTGRES_PORT" "5432"))
                  :name     (env "POSTGRES_DB" "helping_hands")
                  :user     (env "POSTGRES_USER" "helping_hands")
                  :password (env "POSTGRES_PASSWORD")}
           :urls (into {} (for [need needs]
                            [need (env (str (str/upper-case need) "_URL") (str "http://" need ":8080"))]))})))

(defn start
  "Serves what the resource openapi.json describes by `operations`, {operationId f}, on a database with these migrations;
  `background` takes the system and answers a function that ends what it began. The result is what `stop` takes."
  ([settings migrations operations]
   (start settings migrations operations (constantly (fn []))))
  ([settings migrations operations background]
   (let [text   (slurp (io/resource "openapi.json"))
         {:strs [x-calls x-takes]} (schema/inlined (json/read-str text))
         system {:urls (:urls settings), :calls x-calls, :takes x-takes, :db (db/open (:db settings) migrations)}
         routes (api/routes text (update-vals operations db/operation) system)]
     (doto (Thread. ^Runnable calls/warm-up! "warm-up")
       (.setDaemon true)
       (.start))
     (assoc (server/start settings #(http/handler routes {:stopping?  %
                                                          :ready?     (fn [] (db/ready? (:db system)))
                                                          :body-limit body-limit}))
            :system system
            :end (background system)))))

(defn stop
  "Ends the server once requests under way have their answers, meanwhile what runs in the background, then the connections:
  18 seconds at most with what conf.edn says, for Docker kills after 20."
  [{:keys [system end] :as service}]
  (let [ended (future (end))]
    (server/stop service)
    @ended
    (db/close (:db system))))
