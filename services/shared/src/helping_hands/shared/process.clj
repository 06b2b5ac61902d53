(ns helping-hands.shared.process
  "A service as a process: started from conf.edn and the environment, stopped by SIGTERM."
  (:require [helping-hands.shared.config :as config]
            [helping-hands.shared.log :as log])
  (:import (java.security Security)))

(defn- forget-addresses-soon!
  "A service that is replaced may get a new address. Java reads these, in seconds, when it first looks up a name, and never
  again."
  []
  (Security/setProperty "networkaddress.cache.ttl" "1")
  (Security/setProperty "networkaddress.cache.negative.ttl" "0"))

(defn run
  "Starts what `settings` makes of conf.edn's content and of the environment: `start` takes it and answers
  {:port, …}, which `stop` takes. Exits with 1, and a line that says why, when that cannot be done."
  [settings start stop]
  (forget-addresses-soon!)
  (try
    (let [settings (settings (config/read-file (System/getProperty "conf")) (into {} (System/getenv)))]
      (log/show-from! (:log-level settings))
      (log/capture-java-logging!)
      (let [service (start settings)]
        (.addShutdownHook (Runtime/getRuntime) (Thread. #(stop service)))
        (log/info "listening" {:port (:port service)})))
    (catch Exception error
      (log/error (str "cannot start: " (ex-message error)) {})
      (System/exit 1))))
