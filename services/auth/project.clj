(defproject helping-hands/auth "0.0.1"
  :description "Issues tokens to known users and says what their holders may do"
  :min-lein-version "2.9.0"
  :dependencies [[org.clojure/clojure "1.11.4"]
                 [org.clojure/data.json "2.5.0"]
                 [ring/ring-core "1.8.2" :exclusions [commons-fileupload commons-io crypto-equality crypto-random]]
                 [ring/ring-codec "1.2.0"]
                 [ring/ring-jetty-adapter "1.8.2"]
                 [org.eclipse.jetty/jetty-server "9.4.58.v20250814"] ; ring 1.8.2 asks for an older 9.4
                 [com.nimbusds/nimbus-jose-jwt "9.40"]]
  :source-paths ["src" "../shared/src"]
  :resource-paths ["resources" "../shared/resources"]
  :test-paths ["test" "../shared/test/support"]
  :main helping-hands.auth.main
  :aliases {"hash-password" ["run" "-m" "helping-hands.auth.users/print-hash"]}
  :profiles {:dev     {:jvm-opts ["-Dconf=config/conf.edn"]}
             ;; Others' namespaces first: numbers in the names of their classes then tell nothing of our code.
             :uberjar {:aot          [clojure.data.json ring.adapter.jetty ring.middleware.head ring.middleware.params
                                      helping-hands.auth.main]
                       :compile-path "target/uberjar-classes" ; apart: `lein test` would follow their direct links
                       :omit-source  true
                       :global-vars  {*warn-on-reflection* true}
                       :jvm-opts     ["-Dclojure.compiler.direct-linking=true"]}
             ;; Without Clojars: Debian's libring-jetty-adapter-clojure has what would come from there.
             :debian  {:dependencies [[org.clojure/clojure "1.x"]] ; Debian's jars name this one in their Class-Path
                       :repositories {"clojars" {:url "file:///usr/share/maven-repo" :checksum :ignore}}}})
