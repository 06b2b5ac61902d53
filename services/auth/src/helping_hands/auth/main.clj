(ns helping-hands.auth.main
  "Starts the service from conf.edn and the environment, and stops it on SIGTERM."
  (:require [helping-hands.auth.config :as config]
            [helping-hands.auth.routes :as routes]
            [helping-hands.shared.process :as process]
            [helping-hands.shared.server :as server])
  (:gen-class))

(defn start
  "The service, which serves until `server/stop`."
  [settings]
  (server/start settings #(routes/handler settings %)))

(defn -main [& _]
  (process/run config/settings start server/stop))
