(defproject helping-hands/consumer "0.0.1"
  :description "Profiles of those who book services"
  :min-lein-version "2.9.0"
  :dependencies [[org.clojure/clojure "1.11.4"]
                 [org.clojure/data.json "2.5.0"]
                 [org.clojure/java.jdbc "0.7.12"]
                 [org.postgresql/postgresql "42.7.7" :exclusions [org.checkerframework/checker-qual]]
                 [com.zaxxer/HikariCP "5.1.0"]
                 [org.slf4j/slf4j-jdk14 "1.7.36"]
                 [ring/ring-core "1.8.2" :exclusions [commons-fileupload commons-io crypto-equality crypto-random]]
                 [ring/ring-codec "1.2.0"]
                 [ring/ring-jetty-adapter "1.8.2"]
                 [org.eclipse.jetty/jetty-server "9.4.58.v20250814"]] ; ring 1.8.2 asks for an older 9.4
  :source-paths ["src" "../shared/src"]
  :resource-paths ["resources" "../shared/resources"]
  :test-paths ["test" "../shared/test/support" "../shared/test/system"]
  :main helping-hands.consumer.main
  :profiles {:dev     {:jvm-opts ["-XX:TieredStopAtLevel=1" "-Dconf=config/conf.edn"]}
             ;; Others' namespaces first: numbers in the names of their classes then tell nothing of our code.
             :uberjar {:aot          [clojure.data.json clojure.java.jdbc ring.adapter.jetty ring.middleware.head
                                      ring.middleware.params ring.util.codec helping-hands.consumer.main]
                       :compile-path "target/uberjar-classes" ; apart: `lein test` would follow their direct links
                       :omit-source  true
                       :global-vars  {*warn-on-reflection* true}
                       :jvm-opts     ["-Dclojure.compiler.direct-linking=true"]}
             ;; Without Clojars: Debian's libring-jetty-adapter-clojure has what would come from there.
             :debian  {:dependencies [[org.clojure/clojure "1.x"]] ; Debian's jars name this one in their Class-Path
                       :repositories {"clojars" {:url "file:///usr/share/maven-repo" :checksum :ignore}}}})
