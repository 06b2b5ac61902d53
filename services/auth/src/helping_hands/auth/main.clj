(ns helping-hands.auth.main
  "Starts the service from conf.edn and the environment, and stops it on SIGTERM."
  (:require [helping-hands.auth.config :as config]
            [helping-hands.auth.log :as log]
            [helping-hands.auth.server :as server])
  (:gen-class))

(defn- start []
  (let [settings (config/settings (config/read-file (System/getProperty "conf")) (into {} (System/getenv)))]
    (log/show-from! (:log-level settings))
    (log/capture-java-logging!)
    (let [service (server/start settings)]
      (.addShutdownHook (Runtime/getRuntime) (Thread. #(server/stop service)))
      (log/info "listening" {:port (:port service)}))))

(defn -main [& _]
  (try
    (start)
    (catch Exception error
      (log/error (str "cannot start: " (ex-message error)) {})
      (System/exit 1))))
