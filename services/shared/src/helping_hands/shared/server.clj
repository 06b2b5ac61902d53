(ns helping-hands.shared.server
  "Jetty: started on every interface, stopped without losing a request."
  (:require [clojure.data.json :as json]
            [helping-hands.shared.log :as log]
            [ring.adapter.jetty :refer [run-jetty]])
  (:import (java.nio ByteBuffer)
           (java.util.concurrent TimeoutException)
           (javax.servlet.http HttpServletResponse)
           (org.eclipse.jetty.http HttpFields)
           (org.eclipse.jetty.server Server ServerConnector)
           (org.eclipse.jetty.server.handler ErrorHandler StatisticsHandler)
           (org.eclipse.jetty.util.thread QueuedThreadPool)))

(def ^:private ^String unreadable (json/write-str {:error "this request cannot be read"}))

(defn- json-errors
  "Says as JSON what Jetty says as HTML: a request so broken that it never becomes one of ours."
  []
  (proxy [ErrorHandler] []
    (badMessageError [_status _reason ^HttpFields fields]
      (.put fields "Content-Type" "application/json")
      (ByteBuffer/wrap (.getBytes unreadable)))
    (doError [_target _base-request _request ^HttpServletResponse response]
      (.setContentType response "application/json")
      (.write (.getWriter response) unreadable))))

(def ^:private interrupt-seconds "How long a stop waits for requests that did not finish in time: interrupted halfway." 2)

(defn- configure [^Server server finish-seconds]
  (let [counting (StatisticsHandler.)]                    ; lets Jetty know what to wait for when it stops
    (.setHandler counting (.getHandler server))
    (.setStopTimeout ^QueuedThreadPool (.getThreadPool server) (* 1000 interrupt-seconds))
    (doto server
      (.setHandler counting)
      (.setErrorHandler (json-errors))
      (.setStopTimeout (* 1000 finish-seconds)))))

(defn start
  "Serves what `handler` makes of a function that says whether the server is stopping: {:server, :port, :stopping (atom),
  :settings}. The port is the one in the settings, or, where that is 0, one that was free."
  [{:keys [port stop] :as settings} handler]
  (let [stopping (atom false)
        server   (run-jetty (handler #(deref stopping))
                            {:host "0.0.0.0", :port port, :join? false, :max-idle-time 30000
                             :send-server-version? false
                             :configurator #(configure % (:finish-seconds stop))})]
    {:server   server
     :port     (.getLocalPort ^ServerConnector (first (.getConnectors server)))
     :stopping stopping
     :settings settings}))

(defn stop
  "Ends it: unready first, for as long as a load balancer may take to notice; then no new connections; then the end, once
  the requests under way have their answers."
  [{:keys [^Server server stopping settings]}]
  (reset! stopping true)
  (log/info "stopping" {})
  (Thread/sleep (* 1000 (get-in settings [:stop :drain-seconds])))
  (try
    (.stop server)
    (catch TimeoutException _ (log/log "warn" "requests that did not finish in time are cut off" {})))
  (log/info "stopped" {}))
