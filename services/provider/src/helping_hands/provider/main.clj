(ns helping-hands.provider.main
  "Starts the service from conf.edn and the environment, and stops it on SIGTERM."
  (:require [helping-hands.provider.operations :as operations]
            [helping-hands.shared.process :as process]
            [helping-hands.shared.queue :as queue]
            [helping-hands.shared.system :as system])
  (:gen-class))

(defn start
  "The service, which serves until `system/stop`."
  [settings]
  (system/start settings [queue/migrations ["provider" ["001-tables"]]] operations/all))

(defn -main [& _]
  (process/run (partial system/settings ["auth"]) start system/stop))
