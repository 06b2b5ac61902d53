(ns helping-hands.service.main
  "Starts the service from conf.edn and the environment, and stops it on SIGTERM."
  (:require [helping-hands.service.operations :as operations]
            [helping-hands.service.ratings :as ratings]
            [helping-hands.shared.process :as process]
            [helping-hands.shared.queue :as queue]
            [helping-hands.shared.system :as system])
  (:gen-class))

(defn start
  "The service, which serves, and hears of ratings, until `system/stop`."
  [settings]
  (system/start settings [queue/migrations ["service" ["001-tables" "002-ratings"]]] operations/all
                #(queue/worker % "ratings" ratings/hear)))

(defn -main [& _]
  (process/run (partial system/settings ["auth" "provider"]) start system/stop))
