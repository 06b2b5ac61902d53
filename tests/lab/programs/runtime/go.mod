module slipway.local/runtime

go 1.21
