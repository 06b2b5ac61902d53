(ns helping-hands.alert.main
  "Starts the service from conf.edn and the environment, and stops it on SIGTERM."
  (:require [helping-hands.alert.operations :as operations]
            [helping-hands.alert.post :as post]
            [helping-hands.shared.config :as config]
            [helping-hands.shared.process :as process]
            [helping-hands.shared.queue :as queue]
            [helping-hands.shared.system :as system])
  (:gen-class))

(defn start
  "The service, which serves and sends until `system/stop`."
  [settings]
  (system/start settings [queue/migrations ["alert" ["001-tables"]]] operations/all
                #(queue/worker % "alert" (partial post/post (:mail settings)))))

(defn- faults [{:keys [port from]}]
  (concat
   (when-not (config/port? (parse-long port)) ["SMTP_PORT is not a port number"])
   (when-not (post/address? from) ["MAIL_FROM is not an address"])))

(defn settings
  "See `system/settings`; with :mail, {:host, :port, :from}."
  [conf env]
  (let [mail {:host (env "SMTP_HOST" "mail"), :port (env "SMTP_PORT" "1025"), :from (env "MAIL_FROM" "bookings@localhost")}]
    (assoc (system/settings ["auth"] conf env (faults mail)) :mail mail)))

(defn -main [& _]
  (process/run settings start system/stop))
