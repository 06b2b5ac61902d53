(ns helping-hands.shared.db-test
  (:require [clojure.test :refer [deftest is]]
            [helping-hands.shared.db :as db])
  (:import (java.io Closeable)
           (java.lang.reflect InvocationHandler Proxy)
           (java.sql Connection SQLException)
           (javax.sql DataSource)
           (org.postgresql.ds PGSimpleDataSource)))

(defn- connection
  "A connection that knows its isolation, unless it broke as soon as it was there, and takes no other than that."
  [broken]
  (Proxy/newProxyInstance (.getContextClassLoader (Thread/currentThread)) (into-array [Connection])
                          (reify InvocationHandler
                            (invoke [_ _ method arguments]
                              (case (.getName method)
                                "getTransactionIsolation" (if broken
                                                            (throw (SQLException. "closed" "08003"))
                                                            (int Connection/TRANSACTION_READ_COMMITTED))
                                "setTransactionIsolation" (when-not (= Connection/TRANSACTION_READ_COMMITTED (first arguments))
                                                            (throw (SQLException. "not supported" "22023")))
                                ("isValid" "getAutoCommit") true
                                "getNetworkTimeout" (int 0)
                                ("isClosed" "isReadOnly") false
                                nil)))))

(deftest a-database-that-goes-away-as-the-pool-begins-is-found-again
  (let [given (atom 0)]
    (with-redefs [db/source (fn [_] (proxy [PGSimpleDataSource] []
                                      (getConnection [] (connection (= 1 (swap! given inc))))))]
      (with-open [^Closeable pool (#'db/pool {})]
        (is (some? (.getConnection ^DataSource pool)))))))
